"""Columns of labels, scores and weights, checked before anything is computed from them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from store.arrays import BoolArray, Float64Array
from store.errors import RunError
from store.sources.values import WEIGHTS


@dataclass(frozen=True, kw_only=True)
class Scored:
    """Samples with checked labels, scores and positive weights.

    Attributes
    ----------
    signal
        bool (n,), True for samples of class 1.
    score
        float64 (n,), finite.
    weight
        float64 (n,), positive. Equal weights are replaced by 1 and take no memory.
    """

    signal: BoolArray
    score: Float64Array
    weight: Float64Array

    @property
    def weighted(self) -> bool:
        """Whether the weights differ from each other."""
        return self.weight.strides != (0,)


def checked(label: ArrayLike, score: ArrayLike, weight: ArrayLike | None = None) -> Scored:
    """Check the columns and return them without samples of weight 0.

    Parameters
    ----------
    label
        (n,), 0 or 1.
    score
        (n,), larger for class 1.
    weight
        (n,), weight of each sample; by default 1. Only ratios of weights matter.

    Raises
    ------
    RunError
        If a label is neither 0 nor 1, a score is not finite, a weight is negative, not finite, tiny or huge, all
        weights are zero, or fewer than two samples are left.
    """
    label, score = np.asarray(label), np.asarray(score, dtype=np.float64)
    if label.ndim != 1 or label.shape != score.shape:
        raise RunError(f"labels and scores must be two columns of equal length, got {label.shape} and {score.shape}")
    refuse("labels must be 0 or 1", label, (label != 0) & (label != 1))
    refuse("scores must be finite", score, ~np.isfinite(score))
    rows, weights = used_rows(weight, label.size)
    return Scored(signal=label.astype(bool)[rows], score=score[rows], weight=weights)


def used_rows(weight: ArrayLike | None, count: int) -> tuple[BoolArray | slice, Float64Array]:
    """Return the rows whose weight is positive, and their weights, float64; equal weights are replaced by 1.

    Parameters
    ----------
    weight
        (count,), weight of each row; by default 1.
    count
        Number of rows.

    Raises
    ------
    RunError
        If a weight is negative, not finite, tiny or huge, all weights are zero, or fewer than two rows are left.
    """
    rows: BoolArray | slice = slice(None)
    weights = np.broadcast_to(1.0, (count,))
    if weight is not None:
        weights = _checked_weight(weight, count)
        if not weights.all():
            rows = weights > 0
            weights = weights[rows]
        if weights.size and np.ptp(weights) == 0:
            weights = np.broadcast_to(1.0, weights.shape)
    if weights.size < 2:
        raise RunError(f"at least two samples are needed, got {weights.size}")
    return rows, weights


def _checked_weight(weight: ArrayLike, count: int) -> Float64Array:
    """Return weights as float64; raises RunError like `used_rows`."""
    weight = np.asarray(weight, dtype=np.float64)
    if weight.shape != (count,):
        raise RunError(f"weights must be a column of the same length as the scores, got {weight.shape} and {(count,)}")
    refuse("weights must be finite and not negative", weight, ~(np.isfinite(weight) & (weight >= 0)))
    extreme = (weight > 0) & ((weight < WEIGHTS[0]) | (weight > WEIGHTS[1]))
    refuse(f"weights must be 0, or {WEIGHTS[0]} to {WEIGHTS[1]}", weight, extreme)
    if weight.size and not weight.any():
        raise RunError(f"weights are zero in all {weight.size} rows")
    return weight


def same_weights(first: Float64Array | None, second: Float64Array | None) -> bool:
    """Return whether two columns of weights are equal; None stands for weights of 1."""
    if first is None or second is None:
        return all(bool(np.all(weight == 1)) for weight in (first, second) if weight is not None)
    return np.array_equal(first, second)


def refuse(rule: str, column: NDArray[Any], broken: BoolArray) -> None:
    """Raise RunError that shows the first value that breaks a rule, if there is one."""
    if broken.any():
        row = int(np.argmax(broken))
        raise RunError(f"{rule}, got {column[row]} in row {row} ({np.count_nonzero(broken)} in all)")


def checked_probability(label: ArrayLike, score: ArrayLike, weight: ArrayLike | None = None) -> Scored:
    """Check the columns like `checked`, and also raise RunError for scores outside [0, 1]."""
    scored = checked(label, score, weight)
    low, high = scored.score.min(), scored.score.max()
    if low < 0 or high > 1:
        raise RunError(f"scores must be probabilities in [0, 1], got {low} to {high}")
    return scored
