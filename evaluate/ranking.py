"""How well scores rank class 1 above class 0, whatever their scale: ROC curve, AUC with its error, paired test."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evaluate.metrics import Array, Estimate, Floats, checked


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
    background
        float64 (k,), share of class 0 that passes: the false positive rate.
    signal
        float64 (k,), share of class 1 that passes: the true positive rate, or signal efficiency.
    """

    threshold: Floats
    background: Floats
    signal: Floats


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
        As `checked`.
    """
    signal, score = checked(label, score)
    threshold, group = np.unique(score, return_inverse=True)
    passed = [np.bincount(group[mask], minlength=threshold.size)[::-1].cumsum() for mask in (~signal, signal)]
    background, efficiency = (np.concatenate(([0.0], count / count[-1])) for count in passed)
    return Roc(threshold=np.append(np.inf, threshold[::-1]), background=background, signal=efficiency)


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
        As `checked`.

    Notes
    -----
    The midranks of Sun & Xu, IEEE Signal Processing Letters 21 (2014) 1389, come from one sort of all scores into
    groups of ties, with the counts of both classes in each: O(n log n).
    """
    signal, score = checked(label, score)
    group = np.unique(score, return_inverse=True)[1]
    ones, zeros = np.bincount(group, signal), np.bincount(group, ~signal)
    below = (zeros.cumsum() - zeros / 2) / zeros.sum()
    above = 1 - (ones.cumsum() - ones / 2) / ones.sum()
    return below[group[signal]], above[group[~signal]]


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
        As `checked`.

    Notes
    -----
    DeLong, DeLong & Clarke-Pearson, Biometrics 44 (1988) 837.
    """
    return _mean_placement(*placements(label, score))


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
        As `checked`.

    Notes
    -----
    DeLong, DeLong & Clarke-Pearson, Biometrics 44 (1988) 837: the difference is itself a mean of components, whose
    variance holds the covariance of the two AUCs. The p value is two-sided, from the normal distribution.
    """
    pairs = zip(placements(label, first), placements(label, second), strict=True)
    difference = _mean_placement(*(a - b for a, b in pairs))
    if difference.standard_error == 0:
        return Comparison(difference=difference, p_value=float(difference.value == 0))
    z = difference.value / difference.standard_error
    return Comparison(difference=difference, p_value=math.erfc(abs(z) / math.sqrt(2)))


def _mean_placement(signal: Floats, background: Floats) -> Estimate:
    variance = signal.var(ddof=1) / signal.size + background.var(ddof=1) / background.size
    return Estimate(value=float(signal.mean()), standard_error=math.sqrt(variance))


def background_rejection(curve: Roc, efficiencies: Sequence[float]) -> list[float]:
    """Return 1 / false positive rate of the tightest cut that keeps at least each share of the signal.

    Infinite where no background passes that cut.
    """
    at = np.searchsorted(curve.signal, efficiencies)
    with np.errstate(divide="ignore"):
        return [float(value) for value in 1 / curve.background[at]]
