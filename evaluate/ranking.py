"""How well scores rank class 1 above class 0: ROC curve, AUC with its error, paired test of two AUCs.

`evaluate.class_ranking` is about more than two classes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from evaluate import metrics
from evaluate.metrics import Estimate
from evaluate.scored import Scored, checked
from store.arrays import BoolArray, Float64Array
from store.errors import RunError


@dataclass(frozen=True, kw_only=True)
class PairedTest:
    """Difference of two AUCs on the same samples, with the p value of DeLong's test that they are equal."""

    difference: Estimate
    p_value: float


@dataclass(frozen=True, kw_only=True)
class Roc:
    """Operating points of all cuts ``score >= threshold``, from the tightest, which no sample passes, to the loosest.

    Attributes
    ----------
    threshold
        float64 (k,), in descending order; the first is infinite.
    passed_background, passed_signal
        float64 (k,), sum of the weights of the samples of class 0 and of class 1 that pass; without weights their
        number.
    squared_background, squared_signal
        float64 (k,), sum of their squared weights.
    """

    threshold: Float64Array
    passed_background: Float64Array
    passed_signal: Float64Array
    squared_background: Float64Array
    squared_signal: Float64Array

    @property
    def background(self) -> Float64Array:
        """Background efficiency or false positive rate, float64 (k,): the fraction of class 0 that passes."""
        return _ratio(self.passed_background, self.passed_background[-1])

    @property
    def signal(self) -> Float64Array:
        """Signal efficiency, true positive rate or recall, float64 (k,): the fraction of class 1 that passes."""
        return _ratio(self.passed_signal, self.passed_signal[-1])

    @property
    def precision(self) -> Float64Array:
        """Fraction of class 1 among the samples that pass, float64 (k,); 1 where no sample passes."""
        return _ratio(self.passed_signal, self.passed_signal + self.passed_background)

    @property
    def auc(self) -> Estimate:
        """Area under the curve with DeLong's standard error; see `auc`."""
        below = metrics.mean(1 - _middles(self.background), np.diff(self.passed_signal), np.diff(self.squared_signal))
        above = metrics.mean(_middles(self.signal), np.diff(self.passed_background), np.diff(self.squared_background))
        return Estimate(value=below.value, standard_error=math.hypot(below.standard_error, above.standard_error))

    @property
    def average_precision(self) -> float:
        """Mean precision over the signal samples: the area under the precision-recall step function."""
        return float(np.sum(np.diff(self.signal) * self.precision[1:]))

    @property
    def best_threshold(self) -> float:
        """The highest threshold with the largest sum of weights classified correctly."""
        best = int(np.argmax(self.passed_signal - self.passed_background))
        return float(self.threshold[best]) if best else float(np.nextafter(self.threshold[1], math.inf))


def _ratio(part: Float64Array, whole: Float64Array | np.float64) -> Float64Array:
    """Return part / whole, and 1 where `whole` is 0."""
    return np.divide(part, whole, out=np.ones(part.size), where=np.asarray(whole) > 0)


def _middles(passed: Float64Array) -> Float64Array:
    """Return the means of neighbouring points of a curve."""
    return (passed[1:] + passed[:-1]) / 2


def roc(label: ArrayLike, score: ArrayLike, weight: ArrayLike | None = None) -> Roc:
    """Return the receiver operating characteristic, with one point per distinct score: tied scores are one step.

    Parameters
    ----------
    label
        (n,), 0 or 1.
    score
        (n,), larger for class 1.
    weight
        (n,), weight of each sample; by default 1.

    Returns
    -------
    Roc
        The curve, from the tightest cut to the loosest.

    Raises
    ------
    RunError
        Like `checked`, or if a class has fewer than two samples.

    Examples
    --------
    >>> curve = cs.roc([0, 0, 1, 1], [0.1, 0.7, 0.6, 0.9])
    >>> curve.background, curve.signal
    (array([0. , 0. , 0.5, 0.5, 1. ]), array([0. , 0.5, 0.5, 1. , 1. ]))
    """
    scored = checked_classes(label, score, weight)
    classes = [_sort(scored, mask) for mask in (~scored.signal, scored.signal)]
    value = np.concatenate([score for score, _ in classes])
    value.sort(kind="stable")  # a merge, since both halves are sorted
    cut = np.append(value[np.append(True, value[1:] != value[:-1])], np.inf)
    first = [np.searchsorted(score, cut) for score, _ in classes]  # of the samples that pass each cut
    passed = [_sum_from(weight)[rows][::-1] for (_, weight), rows in zip(classes, first, strict=True)]
    squared = passed
    if scored.weighted:
        squared = [_sum_from(weight**2)[rows][::-1] for (_, weight), rows in zip(classes, first, strict=True)]
    return Roc(
        threshold=cut[::-1],
        passed_background=passed[0],
        passed_signal=passed[1],
        squared_background=squared[0],
        squared_signal=squared[1],
    )


def _sort(scored: Scored, mask: BoolArray) -> tuple[Float64Array, Float64Array]:
    """Return the scores of one class in ascending order, with their weights."""
    score = scored.score[mask]
    if scored.weighted:
        order = np.argsort(score)
        return score[order], scored.weight[mask][order]
    score.sort()  # takes half the time of argsort
    return score, scored.weight[: score.size]


def _sum_from(weight: Float64Array) -> Float64Array:
    """Return the sum of the weights from each row to the end, and a 0 after the last row."""
    return np.append(weight[::-1].cumsum()[::-1], 0.0)


def checked_classes(label: ArrayLike, score: ArrayLike, weight: ArrayLike | None = None) -> Scored:
    """Check the columns like `checked`, and also raise RunError if a class has fewer than two samples."""
    scored = checked(label, score, weight)
    ones = int(scored.signal.sum())
    if min(ones, scored.signal.size - ones) < 2:
        zeros = scored.signal.size - ones
        raise RunError(f"at least two samples of each class are needed, got {zeros} of class 0 and {ones} of class 1")
    return scored


def placements(
    label: ArrayLike, score: ArrayLike, weight: ArrayLike | None = None
) -> tuple[Float64Array, Float64Array]:
    """Return DeLong's structural components of the AUC: the rank of each sample among those of the other class.

    Parameters
    ----------
    label
        (n,), 0 or 1.
    score
        (n,), larger for class 1.
    weight
        (n,), weight of each sample; by default 1. Samples of weight 0 are left out.

    Returns
    -------
    signal
        float64 (n1,), for each sample of class 1 the fraction of class 0 with a lower score; ties count half.
    background
        float64 (n0,), for each sample of class 0 the fraction of class 1 with a higher score; ties count half.

    Raises
    ------
    RunError
        Like `roc`.

    Notes
    -----
    Midranks as in Sun & Xu, IEEE Signal Processing Letters 21 (2014) 1389, in O(n log n): one sort puts tied scores
    into groups, and each group has its sum of weights for both classes.
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


def auc(label: ArrayLike, score: ArrayLike, weight: ArrayLike | None = None) -> Estimate:
    """Return the area under the ROC curve with DeLong's standard error.

    The error is zero, and has no meaning, if all scores are equal or the classes do not overlap.

    Parameters
    ----------
    label
        (n,), 0 or 1.
    score
        (n,), larger for class 1.
    weight
        (n,), weight of each sample; by default 1.

    Returns
    -------
    Estimate
        The area, and its standard error.

    Raises
    ------
    RunError
        Like `roc`.

    Notes
    -----
    DeLong, DeLong & Clarke-Pearson, Biometrics 44 (1988) 837. The area is the weighted mean of the components of
    `placements` over either class. To first order its variance is the sum of the variances of these two weighted
    means, each as in `evaluate.metrics.mean`.

    Examples
    --------
    >>> area = cs.auc([0, 0, 0, 1, 1, 1], [0.1, 0.3, 0.7, 0.4, 0.6, 0.9])
    >>> f"{area.value:.3f} ± {area.standard_error:.3f}"
    '0.778 ± 0.248'
    """
    return roc(label, score, weight).auc


def compare_auc(label: ArrayLike, first: ArrayLike, second: ArrayLike, weight: ArrayLike | None = None) -> PairedTest:
    """Return DeLong's paired test of two columns of scores of the same samples.

    Parameters
    ----------
    label
        (n,), 0 or 1.
    first, second
        (n,), the two scores of each sample.
    weight
        (n,), weight of each sample; by default 1.

    Returns
    -------
    PairedTest
        AUC of `first` minus AUC of `second`, with its error and p value.

    Raises
    ------
    RunError
        Like `roc`.

    Notes
    -----
    DeLong, DeLong & Clarke-Pearson, Biometrics 44 (1988) 837. The difference is the mean of the differences of the
    components, and its variance therefore includes the covariance of the two AUCs. The p value is two-sided, from the
    normal distribution.

    Examples
    --------
    >>> label = [0, 0, 0, 1, 1, 1]
    >>> test = cs.compare_auc(label, [0.1, 0.3, 0.7, 0.4, 0.6, 0.9], [0.4, 0.3, 0.7, 0.1, 0.6, 0.9])
    >>> f"{test.difference.value:.3f}"
    '0.222'
    """
    scored = checked_classes(label, first, weight)
    pairs = zip(placements(label, first, weight), placements(label, second, weight), strict=True)
    signal, background = (
        metrics.mean(of_first - of_second, scored.weight[mask])
        for (of_first, of_second), mask in zip(pairs, (scored.signal, ~scored.signal), strict=True)
    )
    error = math.hypot(signal.standard_error, background.standard_error)
    return paired_test(Estimate(value=signal.value, standard_error=error))


def paired_test(difference: Estimate) -> PairedTest:
    """Return a difference with its two-sided p value from the normal distribution."""
    error = difference.standard_error
    if error == 0:
        return PairedTest(difference=difference, p_value=float(difference.value == 0))
    return PairedTest(difference=difference, p_value=math.erfc(abs(difference.value / error) / math.sqrt(2)))


def background_rejection(curve: Roc, efficiencies: Sequence[float]) -> list[Estimate]:
    """Return 1 / false positive rate at the tightest cut with at least each signal efficiency.

    Parameters
    ----------
    curve
        Operating points, from `roc`.
    efficiencies
        Signal efficiencies, above 0 and at most 1.

    Returns
    -------
    list of Estimate
        The rejection at each efficiency, and its standard error.

    Notes
    -----
    The error is the binomial error of the number of background samples that pass; the cut itself is taken as fixed.
    Value and error are infinite if no background passes.

    Examples
    --------
    >>> curve = cs.roc([0, 0, 1, 1], [0.1, 0.7, 0.6, 0.9])
    >>> [rejection.value for rejection in cs.background_rejection(curve, [1.0])]
    [2.0]
    """
    cuts = np.searchsorted(curve.signal, efficiencies)
    whole, whole_square = curve.passed_background[-1], curve.squared_background[-1]
    passed = zip(curve.passed_background[cuts], curve.squared_background[cuts], strict=True)
    return [rejection(part, whole, square, whole_square) for part, square in passed]


def rejection(part: float, whole: float, part_square: float, whole_square: float) -> Estimate:
    """Return whole / part with its binomial error, both infinite if part is 0; parameters as `metrics.binomial`."""
    efficiency = metrics.binomial(part, whole, part_square, whole_square)
    value, error = efficiency.value, efficiency.standard_error
    if not value:
        return Estimate(value=math.inf, standard_error=math.inf)
    square = value**2  # 0 for a value below 1e-162, which very different weights can give
    return Estimate(value=1 / value, standard_error=error / square if square else error / value / value)
