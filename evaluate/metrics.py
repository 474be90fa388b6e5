"""How good scores are as probabilities of class 1, the signal, and how sure we are; class 0 is the background."""

import math
from dataclasses import dataclass
from statistics import NormalDist

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
    score
        float64 (b,), mean score.
    frequency
        float64 (b,), share of class 1.
    """

    count: npt.NDArray[np.int64]
    score: Floats
    frequency: Floats

    @property
    def expected_error(self) -> float:
        """Mean of ``|frequency - score|`` over samples: the expected calibration error."""
        return float(np.average(np.abs(self.frequency - self.score), weights=self.count))


def checked(label: Array, score: Array) -> tuple[npt.NDArray[np.bool_], Floats]:
    """Return labels (as booleans) and scores as arrays that the functions here can use.

    Parameters
    ----------
    label
        (n,), 0 or 1.
    score
        (n,), larger for class 1.

    Raises
    ------
    RunError
        For labels other than 0 and 1, scores that are not finite, or less than two samples.
    """
    label, score = np.asarray(label), np.asarray(score, dtype=np.float64)
    if label.ndim != 1 or label.shape != score.shape:
        raise RunError(f"labels and scores must be two columns of one length, got {label.shape} and {score.shape}")
    if label.size < 2:
        raise RunError(f"needs two samples at least, got {label.size}")
    strange = np.flatnonzero((label != 0) & (label != 1))
    if strange.size:
        raise RunError(f"labels must be 0 or 1, got {label[strange[0]]} in row {strange[0]} ({strange.size} in all)")
    broken = np.flatnonzero(~np.isfinite(score))
    if broken.size:
        raise RunError(f"scores must be finite, got {score[broken[0]]} in row {broken[0]} ({broken.size} in all)")
    return label.astype(bool), score


def checked_probability(label: Array, score: Array) -> tuple[npt.NDArray[np.bool_], Floats]:
    """Return both as `checked` does; raise RunError for scores outside [0, 1] too."""
    signal, score = checked(label, score)
    if score.min() < 0 or score.max() > 1:
        raise RunError(f"scores must be probabilities in [0, 1], got {score.min()} to {score.max()}")
    return signal, score


def accuracy(label: Array, score: Array, threshold: float = 0.5) -> Estimate:
    """Return the share of samples on the right side of ``score >= threshold``; raises as `checked`."""
    signal, score = checked(label, score)
    return share((score >= threshold) == signal)


def precision(label: Array, score: Array, threshold: float = 0.5) -> Estimate | None:
    """Return the share of class 1 among samples with ``score >= threshold``, None without any; raises as `checked`."""
    signal, score = checked(label, score)
    passed = signal[score >= threshold]
    return share(passed) if passed.size else None


def recall(label: Array, score: Array, threshold: float = 0.5) -> Estimate | None:
    """Return the share of class 1 with ``score >= threshold``, None without that class; raises as `checked`."""
    signal, score = checked(label, score)
    passed = score[signal] >= threshold
    return share(passed) if passed.size else None


def log_loss(label: Array, score: Array) -> Estimate:
    """Return the mean binary cross-entropy in nats.

    Scores of exactly 0 and 1 are moved by the float64 epsilon, as scikit-learn does. Raises as
    `checked_probability`.
    """
    signal, score = checked_probability(label, score)
    epsilon = np.finfo(np.float64).eps
    score = score.clip(epsilon, 1 - epsilon)
    return mean(-np.log(np.where(signal, score, 1 - score)))


def brier_score(label: Array, score: Array) -> Estimate:
    """Return the mean squared difference of score and label; raises as `checked_probability`.

    Notes
    -----
    Brier, Monthly Weather Review 78 (1950) 1, with one term a sample: between 0 and 1.
    """
    signal, score = checked_probability(label, score)
    return mean((score - signal) ** 2)


def share(hit: npt.NDArray[np.bool_]) -> Estimate:
    """Return how many of (n,) are true, with the binomial error."""
    value = float(hit.mean())
    return Estimate(value=value, standard_error=math.sqrt(value * (1 - value) / hit.size))


def mean(values: Floats) -> Estimate:
    """Return the mean of (n,), with its standard error."""
    return Estimate(value=float(values.mean()), standard_error=float(values.std(ddof=1)) / math.sqrt(values.size))


def calibration(label: Array, score: Array, bins: int = 15) -> Calibration:
    """Return the reliability curve in bins of equal width; raises as `checked_probability`.

    Notes
    -----
    Guo et al., "On calibration of modern neural networks", ICML 2017, whose bins these are.
    """
    signal, score = checked_probability(label, score)
    place = np.minimum((score * bins).astype(np.int64), bins - 1)
    count = np.bincount(place, minlength=bins)
    full = count > 0
    means = [np.bincount(place, values, minlength=bins)[full] / count[full] for values in (score, signal)]
    return Calibration(count=count[full], score=means[0], frequency=means[1])
