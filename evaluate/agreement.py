"""Comparison of two classifiers on the same samples: agreement, largest differences, and which one ranks better."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evaluate import class_metrics, class_ranking, metrics, ranking
from evaluate.document import ClassAgreement, ComparisonDocument, PairedAuc, PairedMeasurement, ScorePair, name_classes
from evaluate.intervals import DIFFERENCE, FRACTION, with_interval
from evaluate.metrics import CONFIDENCE
from evaluate.pairs import Pairs, Side, check_sides, load_side, pair_samples
from store.arrays import Float64Array, UInt8Array
from store.datasets import SPLITS
from store.errors import ConfigError


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
        If predictions cannot be used, have different classes, belong to different stores, have fewer than two samples
        in common, or give a sample different labels or weights.
    """
    if split not in SPLITS:
        raise ConfigError(f"unknown split {split!r}; known: {', '.join(SPLITS)}")
    sides = load_side(first, split), load_side(second, split)
    check_sides(*sides)
    pairs, classes = pair_samples(*sides), sides[0].classes or sides[1].classes
    if pairs.first.ndim == 1:
        compared = _compare_scores(pairs, top) | (name_classes(classes) if classes else {})
    else:
        numbers = [str(number) for number in range(pairs.first.shape[1])]
        compared = _compare_classes(pairs, top, classes or numbers)
    return ComparisonDocument(
        confidence=CONFIDENCE,
        paths=(str(first), str(second)),
        samples=pairs.sample.size,
        simulated=sorted({side.store.simulated for side in sides if side.store} - {""}),
        warnings=_warn(sides, pairs.sample.size),
        **compared,
    )


def _compare_scores(pairs: Pairs, top: int) -> dict[str, Any]:
    """Return the comparison of scores of two classes, by the keys of the document."""
    weight, difference = pairs.weight, pairs.first - pairs.second
    same_side = (pairs.first >= 0.5) == (pairs.second >= 0.5)
    return {
        "agreement": with_interval(metrics.fraction(same_side, weight), FRACTION),
        "spearman": _correlation(midranks(pairs.first), midranks(pairs.second)),
        "pearson": _correlation(pairs.first, pairs.second),
        "mean_difference": with_interval(metrics.mean(difference, weight), DIFFERENCE),
        "mean_absolute_difference": with_interval(metrics.mean(np.abs(difference), weight), FRACTION),
        "auc": _compare_auc(pairs),
        "accuracy": _compare_accuracy(pairs),
        "largest_differences": [
            ScorePair(sample=sample, label=label, scores=(float(pairs.first[row]), float(pairs.second[row])))
            for row, sample, label in pairs.largest(np.abs(difference), top)
        ],
    }


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


def _compare_classes(pairs: Pairs, top: int, classes: Sequence[str]) -> dict[str, Any]:
    """Return the comparison of probabilities of more than two classes, by the keys of the document."""
    weight, difference = pairs.weight, pairs.first - pairs.second
    distance = np.abs(difference).sum(axis=1) / 2
    same_class = pairs.first.argmax(axis=1) == pairs.second.argmax(axis=1)
    auc, accuracy = (None, None) if pairs.label is None else _compare_labelled(pairs, pairs.label)
    return {
        "agreement": with_interval(metrics.fraction(same_class, weight), FRACTION),
        "mean_absolute_difference": with_interval(metrics.mean(distance, weight), FRACTION),
        "auc": auc,
        "accuracy": accuracy,
        "classes": list(classes),
        "by_class": [
            ClassAgreement(
                spearman=_correlation(midranks(first), midranks(second)),
                pearson=_correlation(first, second),
                mean_difference=with_interval(metrics.mean(first - second, weight), DIFFERENCE),
            )
            for first, second in zip(pairs.first.T, pairs.second.T, strict=True)
        ],
        "largest_differences": [
            ScorePair(sample=sample, label=label, probabilities=(pairs.first[row].tolist(), pairs.second[row].tolist()))
            for row, sample, label in pairs.largest(distance, top)
        ],
    }


def _compare_labelled(pairs: Pairs, label: UInt8Array) -> tuple[PairedAuc | None, PairedMeasurement]:
    """Return both mean AUCs and both accuracies of more than two classes, with their paired differences."""
    first, second = (class_metrics.checked(label, score, pairs.weight) for score in (pairs.first, pairs.second))
    accuracy = PairedMeasurement(
        values=(
            with_interval(class_metrics.accuracy(first), FRACTION),
            with_interval(class_metrics.accuracy(second), FRACTION),
        ),
        difference=with_interval(class_metrics.compare_accuracy(first, second), DIFFERENCE),
    )
    one, two = class_ranking.macro_auc(first), class_ranking.macro_auc(second)
    comparison = class_ranking.compare_macro_auc(one, two)
    if one.mean is None or two.mean is None or comparison is None:
        return None, accuracy
    auc = PairedAuc(
        values=(with_interval(one.mean, FRACTION), with_interval(two.mean, FRACTION)),
        difference=with_interval(comparison.difference, DIFFERENCE),
        p_value=comparison.p_value,
    )
    return auc, accuracy


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
