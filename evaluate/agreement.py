"""Two classifiers on the same samples: how far they agree, where they do not, and which one ranks better."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from evaluate import metrics, ranking
from evaluate.measure import DIFFERENCE, SHARE, Document, estimate
from evaluate.metrics import CONFIDENCE, Floats
from evaluate.runs import load_run
from store.errors import ConfigError, RunError
from store.predictions import Predictions
from store.schema import SPLITS

SCHEMA = "calostream-comparison/1"


def load(path: Path, split: str) -> tuple[Predictions, Mapping[str, Any]]:
    """Return the predictions of a run directory for a split with the identity of its store, or those of a file.

    Raises
    ------
    RunError
        If there are no usable predictions; the message names the file.
    """
    if path.is_dir():
        run = load_run(path, path.resolve().name)
        return run.predictions[split], run.store
    predictions = Predictions.load(path)
    try:
        metrics.checked_probability(*predictions.scored)
    except RunError as error:
        raise RunError(f"{path}: {error}") from None
    if np.unique(predictions.sample).size < predictions.sample.size:
        raise RunError(f"{path}: samples must be distinct")
    return predictions, {}


def compare(first: Path, second: Path, split: str = "test", most: int = 10) -> Document:
    """Compare two runs, or two prediction files, or one with the other, on the samples that both have.

    Weights count in everything but the two correlations; samples of weight 0 are left out.

    Parameters
    ----------
    first, second
        Run directories or files of predictions.
    split
        Whose predictions of a run to take.
    most
        How many of the samples with the largest differences to list.

    Returns
    -------
    dict
        JSON-able: ``schema``, ``paths``, ``samples``, ``agreement`` (share on the same side of 0.5), ``spearman`` and
        ``pearson`` (null for constant scores), ``mean_difference`` and ``mean_absolute_difference`` of the scores,
        ``auc`` (null without both classes) and ``accuracy`` with the ``values`` of both and their paired
        ``difference``, for AUCs with DeLong's ``p_value``; ``largest_differences``, ``warnings``.

    Raises
    ------
    ConfigError
        If there is no such split.
    RunError
        If predictions cannot be used, are of different stores, have less than two samples in common, or give a sample
        different labels or weights.
    """
    if split not in SPLITS:
        raise ConfigError(f"unknown split {split!r}; known: {', '.join(SPLITS)}")
    (one, store), (two, other) = load(first, split), load(second, split)
    if store and other and store["digest"] != other["digest"]:
        raise RunError(f"{first} and {second} saw different stores ({store['path']} and {other['path']})")
    _, left, right = np.intersect1d(one.sample, two.sample, assume_unique=True, return_indices=True)
    weight = _common_weight(one, left)
    if not np.array_equal(weight, _common_weight(two, right)):
        raise RunError(f"{first} and {second} give the same samples different weights")
    left, right, weight = left[weight > 0], right[weight > 0], weight[weight > 0]
    if left.size < 2:
        raise RunError(f"{first} and {second} have {left.size} samples in common; at least 2 are needed")
    label, scores = one.label[left], (one.score[left], two.score[right])
    differing = np.flatnonzero(label != two.label[right])
    if differing.size:
        sample = one.sample[left[differing[0]]]
        raise RunError(f"{first} and {second} give sample {sample} different labels ({differing.size} in all)")
    difference = scores[0] - scores[1]
    largest = np.argsort(-np.abs(difference), kind="stable")[:most]
    return {
        "schema": SCHEMA,
        "confidence": CONFIDENCE,
        "paths": [str(first), str(second)],
        "samples": int(left.size),
        "agreement": estimate(metrics.share((scores[0] >= 0.5) == (scores[1] >= 0.5), weight), SHARE),
        "spearman": _correlation(*(midranks(score) for score in scores)),
        "pearson": _correlation(*scores),
        "mean_difference": estimate(metrics.mean(difference, weight), DIFFERENCE),
        "mean_absolute_difference": estimate(metrics.mean(np.abs(difference), weight), SHARE),
        "auc": _compare_auc(label, *scores, weight),
        "accuracy": _compare_accuracy(label, *scores, weight),
        "largest_differences": [
            {"sample": int(one.sample[left[row]]), "label": int(label[row]), "scores": [float(s[row]) for s in scores]}
            for row in largest
        ],
        "warnings": _doubts({first: one, second: two}, left.size, known=bool(store and other)),
    }


def _common_weight(predictions: Predictions, rows: npt.NDArray[np.int64]) -> Floats:
    return np.ones(rows.size) if predictions.weight is None else predictions.weight[rows]


def _compare_auc(label: metrics.Array, first: Floats, second: Floats, weight: Floats) -> Document | None:
    ones = int(np.sum(label))
    if min(ones, first.size - ones) < 2:
        return None
    test = ranking.compare_auc(label, first, second, weight)
    return {
        "values": [estimate(ranking.auc(label, score, weight), SHARE) for score in (first, second)],
        "difference": estimate(test.difference, DIFFERENCE),
        "p_value": test.p_value,
    }


def _compare_accuracy(label: metrics.Array, first: Floats, second: Floats, weight: Floats) -> Document:
    right = [((score >= 0.5) == label).astype(np.float64) for score in (first, second)]
    return {
        "values": [estimate(metrics.accuracy(label, score, weight), SHARE) for score in (first, second)],
        "difference": estimate(metrics.mean(right[0] - right[1], weight), DIFFERENCE),
    }


def midranks(value: Floats) -> Floats:
    """Return the rank of each of (n,) values, from 1; ties share the mean of their ranks."""
    _, group, count = np.unique(value, return_inverse=True, return_counts=True)
    return (count.cumsum() - (count - 1) / 2)[group]


def _correlation(first: Floats, second: Floats) -> float | None:
    """Return Pearson's coefficient, None if one of them is constant."""
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    return float(np.corrcoef(first, second)[0, 1])


def _doubts(predictions: Mapping[Path, Predictions], common: int, *, known: bool) -> list[str]:
    doubts = [
        f"{path}: {one.sample.size - common} of its {one.sample.size} samples are not in the other"
        for path, one in predictions.items()
        if one.sample.size > common
    ]
    if any(one.weight is not None for one in predictions.values()):
        doubts.append("samples are weighted, as the predictions say; the correlations are not")
    if not known:
        doubts.append("files of predictions do not say which store they are of; its sample numbers are trusted")
    return doubts
