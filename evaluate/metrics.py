"""Metrics of scores, with standard errors.

A score is a probability of class 1, the signal; class 0 is the background. `evaluate.class_metrics` is about more than
two classes.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evaluate.scored import Scored, checked, checked_probability
from store.arrays import BoolArray, Float64Array, Int64Array

CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A measured value and its standard error."""

    value: float
    standard_error: float

    def interval(self, bounds: tuple[float, float] = (-math.inf, math.inf)) -> tuple[float, float]:
        """Return the interval at level `CONFIDENCE` of a normal distribution, clipped to the bounds of the quantity."""
        half_width = NormalDist().inv_cdf(0.5 + CONFIDENCE / 2) * self.standard_error
        return max(self.value - half_width, bounds[0]), min(self.value + half_width, bounds[1])

    def __sub__(self, other: "Estimate") -> "Estimate":
        """Return the difference to an estimate from independent samples; the standard errors add in quadrature."""
        error = math.hypot(self.standard_error, other.standard_error)
        return Estimate(value=self.value - other.value, standard_error=error)


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Mean score and frequency of class 1 in bins of the score; empty bins are left out.

    Attributes
    ----------
    count
        int64 (b,), number of samples in each bin.
    weight
        float64 (b,), sum of the weights in each bin.
    score
        float64 (b,), mean score.
    frequency
        float64 (b,), fraction of class 1, weighted.
    error
        float64 (b,), binomial standard error of the frequency.
    """

    count: Int64Array
    weight: Float64Array
    score: Float64Array
    frequency: Float64Array
    error: Float64Array

    @property
    def expected_error(self) -> float:
        """Expected calibration error: mean of ``|frequency - score|`` over the samples."""
        return float(np.average(np.abs(self.frequency - self.score), weights=self.weight))


def accuracy(
    label: ArrayLike, score: ArrayLike, weight: ArrayLike | None = None, *, threshold: float = 0.5
) -> Estimate:
    """Return the fraction of samples that ``score >= threshold`` classifies correctly.

    Parameters
    ----------
    label
        (n,), 0 or 1.
    score
        (n,), larger for class 1.
    weight
        (n,), weight of each sample; by default 1.
    threshold
        Lowest score that counts as class 1.

    Returns
    -------
    Estimate
        The fraction, and its standard error.

    Raises
    ------
    RunError
        Like `checked`.

    Examples
    --------
    >>> cs.accuracy([0, 0, 1, 1], [0.1, 0.6, 0.7, 0.9]).value
    0.75
    """
    scored = checked(label, score, weight)
    return fraction((scored.score >= threshold) == scored.signal, scored.weight)


def precision(
    label: ArrayLike, score: ArrayLike, weight: ArrayLike | None = None, *, threshold: float = 0.5
) -> Estimate | None:
    """Return the fraction of class 1 among samples with ``score >= threshold``; raises like `checked`.

    None if no sample passes.
    """
    scored = checked(label, score, weight)
    passed = scored.score >= threshold
    return fraction(scored.signal[passed], scored.weight[passed]) if passed.any() else None


def recall(
    label: ArrayLike, score: ArrayLike, weight: ArrayLike | None = None, *, threshold: float = 0.5
) -> Estimate | None:
    """Return the fraction of class 1 with ``score >= threshold``; raises like `checked`.

    None if there is no sample of class 1.
    """
    scored = checked(label, score, weight)
    signal = scored.signal
    return fraction(scored.score[signal] >= threshold, scored.weight[signal]) if signal.any() else None


def log_loss(label: ArrayLike, score: ArrayLike, weight: ArrayLike | None = None) -> Estimate:
    """Return the mean binary cross-entropy in nats.

    Scores are clipped to [epsilon, 1 - epsilon] of float64, as scikit-learn does.

    Parameters
    ----------
    label
        (n,), 0 or 1.
    score
        (n,), probability of class 1, between 0 and 1.
    weight
        (n,), weight of each sample; by default 1.

    Returns
    -------
    Estimate
        The mean, and its standard error.

    Raises
    ------
    RunError
        Like `checked_probability`.

    Examples
    --------
    >>> f"{cs.log_loss([0, 1], [0.5, 0.5]).value:.4f}"
    '0.6931'
    """
    scored = checked_probability(label, score, weight)
    epsilon = np.finfo(np.float64).eps
    own = np.where(scored.signal, scored.score, 1 - scored.score)
    np.log(own.clip(epsilon, 1 - epsilon, out=own), out=own)
    return mean(np.negative(own, out=own), scored.weight)


def brier_score(label: ArrayLike, score: ArrayLike, weight: ArrayLike | None = None) -> Estimate:
    """Return the mean squared difference between score and label.

    Parameters
    ----------
    label
        (n,), 0 or 1.
    score
        (n,), probability of class 1, between 0 and 1.
    weight
        (n,), weight of each sample; by default 1.

    Returns
    -------
    Estimate
        The mean, and its standard error.

    Raises
    ------
    RunError
        Like `checked_probability`.

    Notes
    -----
    Brier, Monthly Weather Review 78 (1950) 1, with one term per sample, so that it lies between 0 and 1.

    Examples
    --------
    >>> cs.brier_score([0, 1], [0.5, 0.5]).value
    0.25
    """
    scored = checked_probability(label, score, weight)
    return mean((scored.score - scored.signal) ** 2, scored.weight)


def fraction(hit: BoolArray, weight: Float64Array) -> Estimate:
    """Return the weighted fraction of (n,) samples where `hit` is True, with its binomial error."""
    return binomial(_total(weight, hit), _total(weight), _total(weight, weight, hit), _total(weight, weight))


def binomial(part: float, whole: float, part_square: float, whole_square: float) -> Estimate:
    """Return part / whole with its binomial error.

    Both are sums of weights; `part_square` and `whole_square` are the sums of squared weights of the same samples.
    """
    value = float(part / whole)
    other_square = max(whole_square - part_square, 0.0)  # the two sums may be rounded differently
    variance = part_square * (1 - value) ** 2 + other_square * value**2
    return Estimate(value=value, standard_error=math.sqrt(variance) / float(whole))


def mean(values: Float64Array, weight: Float64Array, square: Float64Array | None = None) -> Estimate:
    """Return the weighted mean of (n,) values, with its standard error.

    Parameters
    ----------
    values
        (n,), values of independent samples.
    weight
        (n,), weight of each value.
    square
        (n,), given if each value stands for several samples: the sum of their squared weights. `weight` is then the
        sum of their weights.

    Notes
    -----
    With weights w normalised to a sum of 1, the squared error is sum(w**2 (value - mean)**2) / (1 - sum(w**2)): the
    first-order error of a ratio of two sums, and the usual error of a mean if all weights are equal. A weight is a
    property of one sample and not a number of samples: one sample of weight 2 gives a larger error than two of
    weight 1.
    """
    total = _total(weight)
    value = _total(weight, values) / total
    squares = (weight, weight) if square is None else (square,)
    residual = values - value
    freedom = 1 - _total(*squares) / total**2
    variance = _total(*squares, residual, residual) / total**2 / freedom if freedom > 0 else 0.0
    return Estimate(value=value, standard_error=math.sqrt(variance))


def _total(*columns: NDArray[Any]) -> float:
    """Return the sum over rows of the product of the columns, without allocating the products."""
    return float(np.einsum(",".join("i" * len(columns)) + "->", *columns))


def calibration(label: ArrayLike, score: ArrayLike, weight: ArrayLike | None = None, *, bins: int = 15) -> Calibration:
    """Return the reliability curve in bins of equal width.

    Parameters
    ----------
    label
        (n,), 0 or 1.
    score
        (n,), probability of class 1, between 0 and 1.
    weight
        (n,), weight of each sample; by default 1.
    bins
        Number of bins between 0 and 1.

    Returns
    -------
    Calibration
        The curve, without empty bins.

    Raises
    ------
    RunError
        Like `checked_probability`.

    Notes
    -----
    The bins are those of Guo et al., "On calibration of modern neural networks", ICML 2017.

    Examples
    --------
    >>> cs.calibration([0, 1, 1, 1], [0.2, 0.2, 0.9, 0.9], bins=2).frequency
    array([0.5, 1. ])
    """
    scored = checked_probability(label, score, weight)
    index = _bins(scored.score, bins)
    count = np.bincount(index, minlength=bins)
    full = count > 0
    weights, squares = (sums[full] for sums in histogram(scored, bins))
    total = weights.sum(axis=1)
    frequency = weights[:, 1] / total
    variance = squares[:, 1] * (1 - frequency) ** 2 + squares[:, 0] * frequency**2
    return Calibration(
        count=count[full],
        weight=total,
        score=np.bincount(index, scored.weight * scored.score, minlength=bins)[full] / total,
        frequency=frequency,
        error=np.sqrt(variance) / total,
    )


def histogram(scored: Scored, bins: int) -> tuple[Float64Array, Float64Array]:
    """Return the sums of weights and of squared weights in bins of the score, (bins, class) each."""
    cell = 2 * _bins(scored.score, bins) + scored.signal
    powers = (scored.weight, scored.weight**2) if scored.weighted else (scored.weight,)
    sums = [np.bincount(cell, power, minlength=2 * bins).reshape(bins, 2).astype(np.float64) for power in powers]
    return sums[0], sums[-1]


def _bins(score: Float64Array, bins: int) -> Int64Array:
    """Return the index of the bin of each score; the bins divide [0, 1] into equal widths."""
    return np.minimum((score * bins).astype(np.int64), bins - 1)
