"""How well scores rank class 1 above class 0, whatever their scale: ROC curve, AUC with its error, paired test."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from evaluate import metrics
from evaluate.metrics import Array, Estimate, Floats, Scored, checked
from store.errors import RunError


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
        float64 (k,), weight of the samples of class 0 and of class 1 that pass: without weights, how many.
    squared_background, squared_signal
        float64 (k,), sums of their squared weights.
    """

    threshold: Floats
    passed_background: Floats
    passed_signal: Floats
    squared_background: Floats
    squared_signal: Floats

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
        below = metrics.mean(1 - _middles(self.background), np.diff(self.passed_signal), np.diff(self.squared_signal))
        above = metrics.mean(_middles(self.signal), np.diff(self.passed_background), np.diff(self.squared_background))
        return Estimate(value=below.value, standard_error=math.hypot(below.standard_error, above.standard_error))

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


def _shares(part: Floats, whole: Floats | np.float64) -> Floats:
    """Return part / whole, and 1 of nothing."""
    return np.divide(part, whole, out=np.ones(part.size), where=np.asarray(whole) > 0)


def _middles(passed: Floats) -> Floats:
    """Return what passes half of each step of a curve."""
    return (passed[1:] + passed[:-1]) / 2


def roc(label: Array, score: Array, weight: Array | None = None) -> Roc:
    """Return the receiver operating characteristic, one point for each distinct score; ties are one step.

    Parameters
    ----------
    label
        (n,), 0 or 1.
    score
        (n,), larger for class 1.
    weight
        (n,), how much a sample counts; by default 1.

    Raises
    ------
    RunError
        As `checked`, or for less than two samples of a class.
    """
    scored = checked_classes(label, score, weight)
    classes = [_sort(scored, mask) for mask in (~scored.signal, scored.signal)]
    value = np.concatenate([score for score, _ in classes])
    value.sort(kind="stable")  # merges, since both parts are in order
    cut = np.append(value[np.append(True, value[1:] != value[:-1])], np.inf)
    place = [np.searchsorted(score, cut) for score, _ in classes]
    passed = [_from(weight)[at][::-1] for (_, weight), at in zip(classes, place, strict=True)]
    squared = passed
    if scored.weighted:
        squared = [_from(weight**2)[at][::-1] for (_, weight), at in zip(classes, place, strict=True)]
    return Roc(
        threshold=cut[::-1],
        passed_background=passed[0],
        passed_signal=passed[1],
        squared_background=squared[0],
        squared_signal=squared[1],
    )


def _sort(scored: Scored, mask: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Return scores of one class, rising, and their weights."""
    score = scored.score[mask]
    if scored.weighted:
        order = np.argsort(score)
        return score[order], scored.weight[mask][order]
    score.sort()  # in half the time of argsort
    return score, scored.weight[: score.size]


def _from(weight: Floats) -> Floats:
    """Return the sum of the weights from each place on, and 0 for none."""
    return np.append(weight[::-1].cumsum()[::-1], 0.0)


def checked_classes(label: Array, score: Array, weight: Array | None = None) -> Scored:
    """Return the columns as `checked` does; raise RunError for less than two samples of a class too."""
    scored = checked(label, score, weight)
    ones = int(scored.signal.sum())
    if min(ones, scored.signal.size - ones) < 2:
        zeros = scored.signal.size - ones
        raise RunError(f"needs two samples of each class at least, got {zeros} of 0 and {ones} of 1")
    return scored


def placements(label: Array, score: Array, weight: Array | None = None) -> tuple[Floats, Floats]:
    """Return DeLong's structural components of the AUC: where each sample stands among those of the other class.

    Parameters
    ----------
    label
        (n,), 0 or 1.
    score
        (n,), larger for class 1.
    weight
        (n,), how much a sample counts; by default 1. Those of weight 0 are left out.

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
    groups of ties, with the weights of both classes in each: O(n log n).
    """
    scored = checked_classes(label, score, weight)
    order = np.argsort(scored.score)[::-1]
    value, signal, weights = scored.score[order], scored.signal[order], scored.weight[order]
    group = np.append(0, (value[1:] != value[:-1]).cumsum())
    ones, zeros = (np.bincount(group, weights * mask) for mask in (signal, ~signal))
    below = 1 - (zeros.cumsum() - zeros / 2) / zeros.sum()
    above = (ones.cumsum() - ones / 2) / ones.sum()
    component = np.empty(value.size)
    component[order] = np.where(signal, below[group], above[group])
    return component[scored.signal], component[~scored.signal]


def auc(label: Array, score: Array, weight: Array | None = None) -> Estimate:
    """Return the area under the ROC curve with DeLong's standard error.

    The error is zero, and says nothing, if all scores are equal or the classes do not overlap.

    Parameters
    ----------
    label
        (n,), 0 or 1.
    score
        (n,), larger for class 1.
    weight
        (n,), how much a sample counts; by default 1.

    Raises
    ------
    RunError
        As `roc`.

    Notes
    -----
    DeLong, DeLong & Clarke-Pearson, Biometrics 44 (1988) 837. With weights the area is a mean of the components
    weighted by u over the signal and by v over the background, the components being weighted shares themselves; to
    first order each class adds the variance of its own weighted mean, as `evaluate.metrics.mean` has it.
    """
    return roc(label, score, weight).auc


def compare_auc(label: Array, first: Array, second: Array, weight: Array | None = None) -> Comparison:
    """Return DeLong's paired test of two scores of the same samples.

    Parameters
    ----------
    label
        (n,), 0 or 1.
    first, second
        (n,), two scores of each sample.
    weight
        (n,), how much a sample counts; by default 1.

    Raises
    ------
    RunError
        As `roc`.

    Notes
    -----
    DeLong, DeLong & Clarke-Pearson, Biometrics 44 (1988) 837: the difference is itself a mean of components, whose
    variance holds the covariance of the two AUCs. The p value is two-sided, from the normal distribution.
    """
    scored = checked_classes(label, first, weight)
    pairs = zip(placements(label, first, weight), placements(label, second, weight), strict=True)
    signal, background = (
        metrics.mean(one - two, scored.weight[mask])
        for (one, two), mask in zip(pairs, (scored.signal, ~scored.signal), strict=True)
    )
    error = math.hypot(signal.standard_error, background.standard_error)
    difference = Estimate(value=signal.value, standard_error=error)
    if error == 0:
        return Comparison(difference=difference, p_value=float(difference.value == 0))
    return Comparison(difference=difference, p_value=math.erfc(abs(difference.value / error) / math.sqrt(2)))


def background_rejection(curve: Roc, efficiencies: Sequence[float]) -> list[Estimate]:
    """Return 1 / false positive rate of the tightest cut that keeps at least each share of the signal.

    The error is that of the binomial number of background samples that pass the cut, which is taken as given. Value
    and error are infinite where none passes.
    """
    at = np.searchsorted(curve.signal, efficiencies)
    whole, whole_square = curve.passed_background[-1], curve.squared_background[-1]
    passed = zip(curve.passed_background[at], curve.squared_background[at], strict=True)
    return [_invert(metrics.binomial(part, whole, square, whole_square)) for part, square in passed]


def _invert(share: Estimate) -> Estimate:
    if not share.value:
        return Estimate(value=math.inf, standard_error=math.inf)
    return Estimate(value=1 / share.value, standard_error=share.standard_error / share.value**2)
