"""How well scores rank class 1 above class 0, whatever their scale: ROC curve, AUC with its error, paired test."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from evaluate.metrics import Array, Estimate, Floats, checked
from store.errors import RunError

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Difference of two AUCs on the same samples, and the probability of one at least as large if they were equal."""

    difference: Estimate
    p_value: float


@dataclass(frozen=True, kw_only=True)
class Roc:
    """Operating points of all cuts ``score >= threshold``, from the tightest, which nothing passes, to the loosest.

    Attributes
    ----------
    threshold
        float64 (k,), falling, the first one infinite.
    passed_background, passed_signal
        int64 (k,), samples of class 0 and of class 1 that pass.
    """

    threshold: Floats
    passed_background: Counts
    passed_signal: Counts

    @property
    def background(self) -> Floats:
        """Share of class 0 that passes, float64 (k,): the false positive rate."""
        return _shares(self.passed_background, self.passed_background[-1])

    @property
    def signal(self) -> Floats:
        """Share of class 1 that passes, float64 (k,): the true positive rate, signal efficiency or recall."""
        return _shares(self.passed_signal, self.passed_signal[-1])

    @property
    def precision(self) -> Floats:
        """Share of class 1 in what passes, float64 (k,); 1 for the first cut, which nothing passes."""
        return _shares(self.passed_signal, self.passed_signal + self.passed_background)

    @property
    def auc(self) -> Estimate:
        """Area under the curve with DeLong's standard error, see `auc`."""
        counts = np.diff(self.passed_signal), np.diff(self.passed_background)
        below, above = _placements(*counts)
        parts = [_moments(count, place) for count, place in zip(counts, (below, above), strict=True)]
        return Estimate(value=parts[0][0], standard_error=math.sqrt(parts[0][1] + parts[1][1]))

    @property
    def average_precision(self) -> float:
        """Mean precision over the signal: the area under the precision-recall curve, as steps."""
        return float(np.sum(np.diff(self.signal) * self.precision[1:]))

    @property
    def best_threshold(self) -> float:
        """The highest of the cuts with the most samples on their right side."""
        right = self.passed_signal - self.passed_background
        best = int(np.argmax(right))
        return float(self.threshold[best]) if best else float(np.nextafter(self.threshold[1], math.inf))


def _shares(part: Counts, whole: Counts | np.int64) -> Floats:
    """Return part / whole, and 1 of nothing."""
    return np.divide(part, whole, out=np.ones(part.size), where=np.asarray(whole) > 0)


def roc(label: Array, score: Array) -> Roc:
    """Return the receiver operating characteristic, one point for each distinct score; ties are one step.

    Parameters
    ----------
    label
        (n,), 0 or 1.
    score
        (n,), larger for class 1.

    Raises
    ------
    RunError
        As `checked`, or for less than two samples of a class.
    """
    signal, score = checked_classes(label, score)
    order = np.argsort(score)[::-1]
    score = score[order]
    last = np.append(np.flatnonzero(score[1:] != score[:-1]), score.size - 1)
    passed = np.concatenate(([0], signal[order].cumsum(dtype=np.int64)[last]))
    return Roc(
        threshold=np.append(np.inf, score[last]),
        passed_background=np.append(0, last + 1) - passed,
        passed_signal=passed,
    )


def checked_classes(label: Array, score: Array) -> tuple[npt.NDArray[np.bool_], Floats]:
    """Return both as `checked` does; raise RunError for less than two samples of a class too."""
    signal, score = checked(label, score)
    ones = int(signal.sum())
    if min(ones, signal.size - ones) < 2:
        raise RunError(f"needs two samples of each class at least, got {signal.size - ones} of 0 and {ones} of 1")
    return signal, score


def placements(label: Array, score: Array) -> tuple[Floats, Floats]:
    """Return DeLong's structural components of the AUC: where each sample stands among those of the other class.

    Parameters
    ----------
    label
        (n,), 0 or 1.
    score
        (n,), larger for class 1.

    Returns
    -------
    signal
        float64 (n1,), for each sample of class 1 the share of class 0 with a lower score, ties counting half.
    background
        float64 (n0,), for each sample of class 0 the share of class 1 with a higher score, ties counting half.

    Raises
    ------
    RunError
        As `roc`.

    Notes
    -----
    The midranks of Sun & Xu, IEEE Signal Processing Letters 21 (2014) 1389, come from one sort of all scores into
    groups of ties, with the counts of both classes in each: O(n log n).
    """
    signal, score = checked_classes(label, score)
    values, group = np.unique(score, return_inverse=True)
    group = values.size - 1 - group
    below, above = _placements(*(np.bincount(group[mask], minlength=values.size) for mask in (signal, ~signal)))
    return below[group[signal]], above[group[~signal]]


def _placements(ones: Counts, zeros: Counts) -> tuple[Floats, Floats]:
    """Return the component of each group of ties, from the counts of both classes in it; scores fall."""
    below = 1 - (zeros.cumsum() - zeros / 2) / zeros.sum()
    above = (ones.cumsum() - ones / 2) / ones.sum()
    return below, above


def _moments(count: Counts, value: Floats) -> tuple[float, float]:
    """Return the mean of values that occur so many times each, and the variance of that mean."""
    total = int(count.sum())
    mean = float(count @ value) / total
    return mean, float(count @ (value - mean) ** 2) / (total - 1) / total


def auc(label: Array, score: Array) -> Estimate:
    """Return the area under the ROC curve with DeLong's standard error.

    The error is zero, and says nothing, if all scores are equal or the classes do not overlap.

    Parameters
    ----------
    label
        (n,), 0 or 1.
    score
        (n,), larger for class 1.

    Raises
    ------
    RunError
        As `roc`.

    Notes
    -----
    DeLong, DeLong & Clarke-Pearson, Biometrics 44 (1988) 837.
    """
    return roc(label, score).auc


def compare_auc(label: Array, first: Array, second: Array) -> Comparison:
    """Return DeLong's paired test of two scores of the same samples.

    Parameters
    ----------
    label
        (n,), 0 or 1.
    first, second
        (n,), two scores of each sample.

    Raises
    ------
    RunError
        As `roc`.

    Notes
    -----
    DeLong, DeLong & Clarke-Pearson, Biometrics 44 (1988) 837: the difference is itself a mean of components, whose
    variance holds the covariance of the two AUCs. The p value is two-sided, from the normal distribution.
    """
    pairs = zip(placements(label, first), placements(label, second), strict=True)
    signal, background = (a - b for a, b in pairs)
    variance = signal.var(ddof=1) / signal.size + background.var(ddof=1) / background.size
    difference = Estimate(value=float(signal.mean()), standard_error=math.sqrt(variance))
    if difference.standard_error == 0:
        return Comparison(difference=difference, p_value=float(difference.value == 0))
    z = difference.value / difference.standard_error
    return Comparison(difference=difference, p_value=math.erfc(abs(z) / math.sqrt(2)))


def background_rejection(curve: Roc, efficiencies: Sequence[float]) -> list[Estimate]:
    """Return 1 / false positive rate of the tightest cut that keeps at least each share of the signal.

    The error is that of the binomial number of background samples that pass the cut, which is taken as given. Value
    and error are infinite where none passes.
    """
    at = np.searchsorted(curve.signal, efficiencies)
    total = int(curve.passed_background[-1])
    return [_rejection(int(passed), total) for passed in curve.passed_background[at]]


def _rejection(passed: int, total: int) -> Estimate:
    if not passed:
        return Estimate(value=math.inf, standard_error=math.inf)
    return Estimate(value=total / passed, standard_error=total / passed * math.sqrt(1 / passed - 1 / total))
