"""Comparison of two classifiers on the same samples: agreement, largest differences, and which one ranks better."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from evaluate import metrics, ranking
from evaluate.document import ComparisonDocument, PairedAuc, PairedMeasurement, ScorePair, StoreIdentity
from evaluate.intervals import DIFFERENCE, FRACTION, with_interval
from evaluate.metrics import CONFIDENCE
from evaluate.runs import load_run
from evaluate.score_tables import read_table
from store.arrays import Float64Array, Int64Array, UInt8Array
from store.datasets import SPLITS
from store.errors import ConfigError, RunError
from store.predictions import Predictions, as_field


@dataclass(frozen=True, kw_only=True)
class Side:
    """One of the two classifiers that are compared.

    Attributes
    ----------
    path
        Where its scores come from.
    predictions
        Its scores. For a table of scores, `sample` holds row numbers.
    labelled
        Whether the labels are true classes. They are zeros if a table has no labels.
    store
        The store that the samples belong to; None if a file does not say.
    """

    path: Path
    predictions: Predictions
    labelled: bool = True
    store: StoreIdentity | None = None


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """The samples that both classifiers scored and whose weight is positive.

    Attributes
    ----------
    sample
        int64 (n,), position in the store, or row of a file.
    label
        uint8 (n,), true classes; None if one of the two has no labels.
    first, second
        float64 (n,), scores of the first and of the second classifier.
    weight
        float64 (n,), weight of each sample.
    """

    sample: Int64Array
    label: UInt8Array | None
    first: Float64Array
    second: Float64Array
    weight: Float64Array


def compare(first: Path, second: Path, split: str = "test", top: int = 10) -> ComparisonDocument:
    """Compare two runs, files of predictions, or tables of scores on the samples that both have.

    Everything except the two correlations is weighted; samples of weight 0 are left out.

    Parameters
    ----------
    first, second
        Run directories, files of predictions (``.npz``), or tables that `evaluate.score.score` wrote. The samples of a
        table are the rows of the file that was scored.
    split
        Which predictions of a run to use.
    top
        Number of samples with the largest differences to list.

    Raises
    ------
    ConfigError
        If there is no such split.
    RunError
        If predictions cannot be used, belong to different stores, have fewer than two samples in common, or give a
        sample different labels or weights.
    """
    if split not in SPLITS:
        raise ConfigError(f"unknown split {split!r}; known: {', '.join(SPLITS)}")
    sides = load_side(first, split), load_side(second, split)
    _check_stores(*sides)
    pairs = _pair(*sides)
    weight, difference = pairs.weight, pairs.first - pairs.second
    same_side = (pairs.first >= 0.5) == (pairs.second >= 0.5)
    return ComparisonDocument(
        confidence=CONFIDENCE,
        paths=(str(first), str(second)),
        samples=pairs.sample.size,
        agreement=with_interval(metrics.fraction(same_side, weight), FRACTION),
        spearman=_correlation(midranks(pairs.first), midranks(pairs.second)),
        pearson=_correlation(pairs.first, pairs.second),
        mean_difference=with_interval(metrics.mean(difference, weight), DIFFERENCE),
        mean_absolute_difference=with_interval(metrics.mean(np.abs(difference), weight), FRACTION),
        auc=_compare_auc(pairs),
        accuracy=_compare_accuracy(pairs),
        simulated=sorted({side.store.simulated for side in sides if side.store} - {""}),
        largest_differences=_largest_differences(pairs, top),
        warnings=_warn(sides, pairs.sample.size),
    )


def load_side(path: Path, split: str) -> Side:
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
        return Side(path=path, predictions=run.predictions[split], store=run.store)
    if path.suffix == ".npz" or not path.is_file():
        side = Side(path=path, predictions=Predictions.load(path))
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
    return Side(path=path, predictions=predictions, labelled="label" in columns)


def _check_stores(first: Side, second: Side) -> None:
    if first.store and second.store and first.store.digest != second.store.digest:
        raise RunError(
            f"{first.path} and {second.path} belong to different stores ({first.store.path} and {second.store.path})"
        )


def _pair(first: Side, second: Side) -> Pairs:
    """Return the samples that both sides have, after checking that they agree on labels and weights."""
    names = f"{first.path} and {second.path}"
    left, right = first.predictions, second.predictions
    _, left_rows, right_rows = np.intersect1d(left.sample, right.sample, assume_unique=True, return_indices=True)
    weight = _weights(left, left_rows)
    if not np.array_equal(weight, _weights(right, right_rows)):
        raise RunError(f"{names} give the same samples different weights")
    used = weight > 0
    left_rows, right_rows = left_rows[used], right_rows[used]
    sample, label = left.sample[left_rows], left.label[left_rows]
    if sample.size < 2:
        raise RunError(f"{names} have {sample.size} samples in common; at least 2 are needed")
    labelled = first.labelled and second.labelled
    differing = sample[label != right.label[right_rows]]
    if labelled and differing.size:
        raise RunError(f"{names} give sample {differing[0]} different labels ({differing.size} in all)")
    return Pairs(
        sample=sample,
        label=label if labelled else None,
        first=left.score[left_rows],
        second=right.score[right_rows],
        weight=weight[used],
    )


def _weights(predictions: Predictions, rows: Int64Array) -> Float64Array:
    return np.ones(rows.size) if predictions.weight is None else predictions.weight[rows]


def _compare_auc(pairs: Pairs) -> PairedAuc | None:
    """Return both AUCs and their paired difference; None without labels or with fewer than two samples of a class."""
    label, weight = pairs.label, pairs.weight
    if label is None or np.bincount(label, minlength=2).min() < 2:
        return None
    comparison = ranking.compare_auc(label, pairs.first, pairs.second, weight)
    return PairedAuc(
        values=(
            with_interval(ranking.auc(label, pairs.first, weight), FRACTION),
            with_interval(ranking.auc(label, pairs.second, weight), FRACTION),
        ),
        difference=with_interval(comparison.difference, DIFFERENCE),
        p_value=comparison.p_value,
    )


def _compare_accuracy(pairs: Pairs) -> PairedMeasurement | None:
    """Return both accuracies and their paired difference; None without labels."""
    label, weight = pairs.label, pairs.weight
    if label is None:
        return None
    first, second = (((score >= 0.5) == label).astype(np.float64) for score in (pairs.first, pairs.second))
    return PairedMeasurement(
        values=(
            with_interval(metrics.accuracy(label, pairs.first, weight), FRACTION),
            with_interval(metrics.accuracy(label, pairs.second, weight), FRACTION),
        ),
        difference=with_interval(metrics.mean(first - second, weight), DIFFERENCE),
    )


def _largest_differences(pairs: Pairs, top: int) -> list[ScorePair]:
    order = np.argsort(-np.abs(pairs.first - pairs.second), kind="stable")
    return [
        ScorePair(
            sample=int(pairs.sample[row]),
            label=None if pairs.label is None else 1 if pairs.label[row] else 0,
            scores=(float(pairs.first[row]), float(pairs.second[row])),
        )
        for row in order[:top]
    ]


def midranks(value: Float64Array) -> Float64Array:
    """Return the rank of each of (n,) values, from 1; tied values get the mean of their ranks."""
    _, group, count = np.unique(value, return_inverse=True, return_counts=True)
    return (count.cumsum() - (count - 1) / 2)[group]


def _correlation(first: Float64Array, second: Float64Array) -> float | None:
    """Return Pearson's coefficient; None if a column is constant."""
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    return float(np.corrcoef(first, second)[0, 1])


def _warn(sides: tuple[Side, Side], common: int) -> list[str]:
    warnings = [
        f"{side.path}: {side.predictions.sample.size - common} of its {side.predictions.sample.size} samples were not "
        "scored by the other classifier"
        for side in sides
        if side.predictions.sample.size > common
    ]
    if any(side.predictions.weight is not None for side in sides):
        warnings.append("the samples are weighted as the predictions say; the correlations ignore the weights")
    if not all(side.store for side in sides):
        warnings.append("files do not record their store; samples with the same number are taken to be the same")
    return warnings
