"""Metrics in bins of an observable: where a classifier does well, and where it does not."""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
from msgspec.structs import asdict
from numpy.typing import ArrayLike

from evaluate import metrics
from evaluate.class_measure import measure_classes
from evaluate.intervals import FRACTION, with_interval
from evaluate.measure import measure
from evaluate.observables import Observable
from evaluate.results import Slice, SliceBin
from store.arrays import BoolArray, Float64Array

BINS = 8
SAMPLES_PER_BIN = 100


def slice_by(
    observable: Observable,
    label: ArrayLike,
    score: ArrayLike,
    weight: ArrayLike | None = None,
    *,
    best_threshold: float | None = None,
) -> Slice:
    """Return the metrics in bins of an observable.

    There are up to 8 bins with about the same number of samples, and fewer bins if they would hold fewer than 100. A
    bin includes its lower edge, and the last one also its upper edge. Samples of weight 0 and samples whose observable
    is not finite are in no bin. A bin of fewer than two samples is left out.

    Parameters
    ----------
    observable
        Its value for the same n samples.
    label, score, weight, best_threshold
        As `measure_scores`.

    Raises
    ------
    RunError
        Like `measure_scores`.
    """
    weights = np.ones(observable.value.size) if weight is None else np.asarray(weight)
    used = np.isfinite(observable.value) & (weights != 0)
    columns = [np.asarray(column)[used] for column in (label, score, weights)]
    value = observable.value[used]
    bins = []
    for low, high, inside in _divide(value):
        members = [column[inside] for column in columns]
        bins.append(
            SliceBin(
                low=low,
                high=high,
                mean=float(value[inside].mean()),
                **measure_scores(*members, best_threshold=best_threshold),
            )
        )
    return Slice(variable=observable.name, long_name=observable.long_name, units=observable.units, bins=bins)


def measure_scores(
    label: ArrayLike,
    score: ArrayLike,
    weight: ArrayLike | None = None,
    *,
    best_threshold: float | None = None,
) -> dict[str, Any]:
    """Return all metrics of two or more classes by their keys in a document.

    Parameters
    ----------
    label
        (n,), true classes.
    score
        Probability of class 1, (n,), or for more than two classes that of each class, (n, class).
    weight
        (n,), weight of each sample; by default 1.
    best_threshold
        For two classes, a threshold on the score, chosen on other samples, for a second accuracy.

    Raises
    ------
    RunError
        Like `measure` or `measure_classes`.
    """
    if best_threshold is None:
        return asdict(measure_classes(label, score, weight))
    accuracy = metrics.accuracy(label, score, weight, threshold=best_threshold)
    return asdict(measure(label, score, weight)) | {"accuracy_at_best_threshold": with_interval(accuracy, FRACTION)}


def _divide(value: Float64Array) -> Iterator[tuple[float, float, BoolArray]]:
    """Yield lower edge, upper edge and members of each bin with at least two values."""
    if not value.size:
        return
    count = min(BINS, max(1, value.size // SAMPLES_PER_BIN))
    lows = np.unique(np.quantile(value, np.linspace(0, 1, count, endpoint=False), method="lower"))
    index = np.searchsorted(lows, value, side="right") - 1
    for number, (low, high) in enumerate(itertools.pairwise([*lows, value.max()])):
        inside = index == number
        if np.count_nonzero(inside) >= 2:
            yield float(low), float(high), inside
