"""How good scores are as probabilities of class 1, the signal, and how sure we are; class 0 is the background."""

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from store.errors import RunError

Floats = npt.NDArray[np.float64]
Array = npt.ArrayLike

CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A measured value and its standard error."""

    value: float
    standard_error: float

    def interval(self, bounds: tuple[float, float] = (-math.inf, math.inf)) -> tuple[float, float]:
        """Return the normal interval at `CONFIDENCE`, cut off at the bounds of what is measured."""
        reach = NormalDist().inv_cdf(0.5 + CONFIDENCE / 2) * self.standard_error
        return max(self.value - reach, bounds[0]), min(self.value + reach, bounds[1])

    def __sub__(self, other: "Estimate") -> "Estimate":
        """Return the difference from an estimate made on other samples."""
        error = math.hypot(self.standard_error, other.standard_error)
        return Estimate(value=self.value - other.value, standard_error=error)


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Scores against the frequency of class 1, in the bins that are not empty.

    Attributes
    ----------
    count
        int64 (b,), samples in each bin.
    weight
        float64 (b,), the sum of their weights.
    score
        float64 (b,), mean score.
    frequency
        float64 (b,), share of class 1.
    error
        float64 (b,), binomial standard error of the frequency.
    """

    count: npt.NDArray[np.int64]
    weight: Floats
    score: Floats
    frequency: Floats
    error: Floats

    @property
    def expected_error(self) -> float:
        """Mean of ``|frequency - score|`` over samples: the expected calibration error."""
        return float(np.average(np.abs(self.frequency - self.score), weights=self.weight))


@dataclass(frozen=True, kw_only=True)
class Scored:
    """Samples that count.

    Attributes
    ----------
    signal
        bool (n,), whether a sample is of class 1.
    score, weight
        float64 (n,), finite. Weights are positive; equal ones are 1 and take no memory.
    """

    signal: npt.NDArray[np.bool_]
    score: Floats
    weight: Floats

    @property
    def weighted(self) -> bool:
        """Whether weights differ."""
        return self.weight.strides != (0,)


def checked(label: Array, score: Array, weight: Array | None = None) -> Scored:
    """Return the columns as the functions here can use them, without samples of weight 0.

    Parameters
    ----------
    label
        (n,), 0 or 1.
    score
        (n,), larger for class 1.
    weight
        (n,), how much a sample counts; by default 1. Only ratios matter.

    Raises
    ------
    RunError
        For labels other than 0 and 1, scores that are not finite, weights that are not finite or negative or all zero,
        or less than two samples.
    """
    label, score = np.asarray(label), np.asarray(score, dtype=np.float64)
    if label.ndim != 1 or label.shape != score.shape:
        raise RunError(f"labels and scores must be two columns of one length, got {label.shape} and {score.shape}")
    _refuse("labels must be 0 or 1", label, (label != 0) & (label != 1))
    _refuse("scores must be finite", score, ~np.isfinite(score))
    signal, weights = label.astype(bool), np.broadcast_to(1.0, score.shape)
    if weight is not None:
        weights = checked_weight(weight, score.shape)
        if not weights.all():
            signal, score, weights = (column[weights > 0] for column in (signal, score, weights))
        if weights.size and np.ptp(weights) == 0:
            weights = np.broadcast_to(1.0, score.shape)
    if score.size < 2:
        raise RunError(f"needs two samples at least, got {score.size}")
    return Scored(signal=signal, score=score, weight=weights)


def checked_weight(weight: Array, shape: tuple[int, ...]) -> Floats:
    """Return weights as float64; raise RunError as `checked`."""
    weight = np.asarray(weight, dtype=np.float64)
    if weight.shape != shape:
        raise RunError(f"weights must be a column as long as the scores, got {weight.shape} and {shape}")
    _refuse("weights must be finite and not negative", weight, ~(np.isfinite(weight) & (weight >= 0)))
    if weight.size and not weight.any():
        raise RunError(f"weights are zero in all {weight.size} rows")
    return weight


def same_weights(first: Floats | None, second: Floats | None) -> bool:
    """Whether the weights of the same samples are the same; None stands for weights of 1."""
    if first is None or second is None:
        return all(bool(np.all(weight == 1)) for weight in (first, second) if weight is not None)
    return np.array_equal(first, second)


def _refuse(rule: str, column: npt.NDArray[Any], broken: npt.NDArray[np.bool_]) -> None:
    """Raise RunError with the first value that breaks a rule, if any does."""
    if broken.any():
        row = int(np.argmax(broken))
        raise RunError(f"{rule}, got {column[row]} in row {row} ({np.count_nonzero(broken)} in all)")


def checked_probability(label: Array, score: Array, weight: Array | None = None) -> Scored:
    """Return the columns as `checked` does; raise RunError for scores outside [0, 1] too."""
    scored = checked(label, score, weight)
    low, high = scored.score.min(), scored.score.max()
    if low < 0 or high > 1:
        raise RunError(f"scores must be probabilities in [0, 1], got {low} to {high}")
    return scored


def accuracy(label: Array, score: Array, weight: Array | None = None, *, threshold: float = 0.5) -> Estimate:
    """Return the share of samples on the right side of ``score >= threshold``; raises as `checked`."""
    scored = checked(label, score, weight)
    return share((scored.score >= threshold) == scored.signal, scored.weight)


def precision(label: Array, score: Array, weight: Array | None = None, *, threshold: float = 0.5) -> Estimate | None:
    """Return the share of class 1 among samples with ``score >= threshold``, None without any; raises as `checked`."""
    scored = checked(label, score, weight)
    passed = scored.score >= threshold
    return share(scored.signal[passed], scored.weight[passed]) if passed.any() else None


def recall(label: Array, score: Array, weight: Array | None = None, *, threshold: float = 0.5) -> Estimate | None:
    """Return the share of class 1 with ``score >= threshold``, None without that class; raises as `checked`."""
    scored = checked(label, score, weight)
    signal = scored.signal
    return share(scored.score[signal] >= threshold, scored.weight[signal]) if signal.any() else None


def log_loss(label: Array, score: Array, weight: Array | None = None) -> Estimate:
    """Return the mean binary cross-entropy in nats.

    Scores of exactly 0 and 1 are moved by the float64 epsilon, as scikit-learn does. Raises as
    `checked_probability`.
    """
    scored = checked_probability(label, score, weight)
    epsilon = np.finfo(np.float64).eps
    own = np.where(scored.signal, scored.score, 1 - scored.score)
    np.log(own.clip(epsilon, 1 - epsilon, out=own), out=own)
    return mean(np.negative(own, out=own), scored.weight)


def brier_score(label: Array, score: Array, weight: Array | None = None) -> Estimate:
    """Return the mean squared difference of score and label; raises as `checked_probability`.

    Notes
    -----
    Brier, Monthly Weather Review 78 (1950) 1, with one term a sample: between 0 and 1.
    """
    scored = checked_probability(label, score, weight)
    return mean((scored.score - scored.signal) ** 2, scored.weight)


def share(hit: npt.NDArray[np.bool_], weight: Floats) -> Estimate:
    """Return the share of the weight of (n,) samples where `hit` is true, with the binomial error."""
    return binomial(_total(weight, hit), _total(weight), _total(weight, weight, hit), _total(weight, weight))


def binomial(part: float, whole: float, part_square: float, whole_square: float) -> Estimate:
    """Return part / whole, both sums of weights, with its binomial error; the squares are sums of squared weights."""
    value = float(part / whole)
    variance = part_square * (1 - value) ** 2 + (whole_square - part_square) * value**2
    return Estimate(value=value, standard_error=math.sqrt(variance) / float(whole))


def mean(values: Floats, weight: Floats, square: Floats | None = None) -> Estimate:
    """Return the weighted mean of (n,) values, with its standard error.

    Parameters
    ----------
    values
        (n,), independent.
    weight
        (n,), of each.
    square
        (n,), if a value stands for several equal ones: the sums of their squared weights, `weight` being their sums.

    Notes
    -----
    The error is that of a ratio of two sums to first order, and for equal weights the usual one: with normalised
    weights its square is the sum of w**2 (value - mean)**2, over 1 - the sum of w**2. Weights are properties of the
    samples, not numbers of them: a sample of weight 2 is known less well than two of weight 1.
    """
    total = _total(weight)
    value = _total(weight, values) / total
    squares = (weight, weight) if square is None else (square,)
    rest = values - value
    freedom = 1 - _total(*squares) / total**2
    variance = _total(*squares, rest, rest) / total**2 / freedom if freedom > 0 else 0.0
    return Estimate(value=value, standard_error=math.sqrt(variance))


def _total(*columns: npt.NDArray[Any]) -> float:
    """Return the sum of the products of some columns, without room for the products."""
    return float(np.einsum(",".join("i" * len(columns)) + "->", *columns))


def calibration(label: Array, score: Array, weight: Array | None = None, *, bins: int = 15) -> Calibration:
    """Return the reliability curve in bins of equal width; raises as `checked_probability`.

    Notes
    -----
    Guo et al., "On calibration of modern neural networks", ICML 2017, whose bins these are.
    """
    scored = checked_probability(label, score, weight)
    place = _bins(scored.score, bins)
    count = np.bincount(place, minlength=bins)
    full = count > 0
    weights, squares = (sums[full] for sums in histogram(scored, bins))
    total = weights.sum(axis=1)
    frequency = weights[:, 1] / total
    variance = squares[:, 1] * (1 - frequency) ** 2 + squares[:, 0] * frequency**2
    return Calibration(
        count=count[full],
        weight=total,
        score=np.bincount(place, scored.weight * scored.score, minlength=bins)[full] / total,
        frequency=frequency,
        error=np.sqrt(variance) / total,
    )


def histogram(scored: Scored, bins: int) -> tuple[Floats, Floats]:
    """Return the sums of weights and of squared weights by score, in bins of equal width, and class, (bins, 2) each."""
    cell = 2 * _bins(scored.score, bins) + scored.signal
    powers = (scored.weight, scored.weight**2) if scored.weighted else (scored.weight,)
    sums = [np.bincount(cell, power, minlength=2 * bins).reshape(bins, 2).astype(np.float64) for power in powers]
    return sums[0], sums[-1]


def _bins(score: Floats, bins: int) -> npt.NDArray[np.int64]:
    """Return in which of the bins that share [0, 1] each score is."""
    return np.minimum((score * bins).astype(np.int64), bins - 1)
