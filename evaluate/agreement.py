"""Two classifiers on the same samples: how far they agree, where they do not, and which one ranks better."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from evaluate import metrics, ranking
from evaluate.measure import DIFFERENCE, SHARE, Document, estimate
from evaluate.metrics import CONFIDENCE, Floats
from evaluate.runs import load_run
from evaluate.score_tables import read_table
from store.datasets import SPLITS
from store.errors import ConfigError, RunError
from store.predictions import Predictions, as_field

SCHEMA = "calostream-comparison/1"


@dataclass(frozen=True, kw_only=True)
class Side:
    """One of the two that are compared.

    Attributes
    ----------
    predictions
        Its scores; in a table of scores the samples are rows.
    labelled
        Whether its labels are true classes; a table may have none, and has zeros then.
    store
        Identity of the store that they are of; empty if a file does not say.
    """

    predictions: Predictions
    labelled: bool = True
    store: Mapping[str, Any]


def load(path: Path, split: str) -> Side:
    """Return the predictions of a run directory for a split, of a file of predictions, or of a table of scores.

    Raises
    ------
    RunError
        If there are no usable predictions; the message names the file.
    ConfigError
        If pyarrow is needed and not installed.
    """
    if path.is_dir():
        run = load_run(path, path.resolve().name)
        return Side(predictions=run.predictions[split], store=run.store)
    if path.suffix == ".npz" or not path.is_file():
        side = Side(predictions=Predictions.load(path), store={})
    else:
        side = _load_table(path)
    try:
        metrics.checked_probability(*side.predictions.scored)
    except RunError as error:
        raise RunError(f"{path}: {error}") from None
    if np.unique(side.predictions.sample).size < side.predictions.sample.size:
        raise RunError(f"{path}: samples must be distinct")
    return side


def _load_table(path: Path) -> Side:
    columns = read_table(path, ("row", "score", "label"))
    for name in ("row", "score"):
        if name not in columns:
            raise RunError(f"{path}: neither predictions (.npz) nor a table of scores: it has no column {name!r}")
    try:
        predictions = Predictions(
            sample=as_field("sample", columns["row"]),
            label=as_field("label", columns.get("label", np.zeros(columns["row"].size))),
            score=as_field("score", columns["score"]),
        )
    except ValueError as error:
        raise RunError(f"{path}: {error}") from None
    return Side(predictions=predictions, labelled="label" in columns, store={})


def compare(first: Path, second: Path, split: str = "test", most: int = 10) -> Document:
    """Compare two runs, files of predictions, or tables of scores, on the samples that both have.

    Weights count in everything but the two correlations; samples of weight 0 are left out.

    Parameters
    ----------
    first, second
        Run directories, files of predictions (``.npz``), or tables that `evaluate.score.score` wrote, whose samples are
        the rows of the file that was scored.
    split
        Whose predictions of a run to take.
    most
        How many of the samples with the largest differences to list.

    Returns
    -------
    dict
        JSON-able: ``schema``, ``paths``, ``samples``, ``agreement`` (share on the same side of 0.5), ``spearman`` and
        ``pearson`` (null for constant scores), ``mean_difference`` and ``mean_absolute_difference`` of the scores,
        ``auc`` (null without labels of both classes) and ``accuracy`` (null without labels) with the ``values`` of both
        and their paired ``difference``, for AUCs with DeLong's ``p_value``; ``simulated``, what the data of the runs
        are; ``largest_differences``, with a null ``label`` if there are none; ``warnings``.

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
    sides = load(first, split), load(second, split)
    (one, two), (store, other) = (side.predictions for side in sides), (side.store for side in sides)
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
    labelled = all(side.labelled for side in sides)
    differing = np.flatnonzero(label != two.label[right])
    if labelled and differing.size:
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
        "auc": _compare_auc(label, *scores, weight) if labelled else None,
        "accuracy": _compare_accuracy(label, *scores, weight) if labelled else None,
        "simulated": sorted({side.store["simulated"] for side in sides if side.store} - {""}),
        "largest_differences": [
            {
                "sample": int(one.sample[left[row]]),
                "label": int(label[row]) if labelled else None,
                "scores": [float(score[row]) for score in scores],
            }
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
        doubts.append("files do not say which images they are of; their sample numbers are trusted")
    return doubts
