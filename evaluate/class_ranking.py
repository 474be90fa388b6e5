"""How well the probabilities of more than two classes rank them: AUCs, rejections, paired test of two classifiers."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evaluate import ranking
from evaluate.class_metrics import Classified
from evaluate.metrics import Estimate
from evaluate.ranking import PairedTest, Roc
from store.arrays import BoolArray, Float64Array


@dataclass(frozen=True, kw_only=True)
class MacroAuc:
    """One-against-rest AUCs of all classes, and their mean.

    Attributes
    ----------
    by_class
        AUC of the probability of each class, against all other samples; None where the class or the rest has fewer than
        two samples.
    mean
        Their plain mean; None if one of them is.
    influence
        float64 (n,), what each sample contributes to the error of the mean: see `macro_auc`.
    """

    by_class: list[Estimate | None]
    mean: Estimate | None
    influence: Float64Array


def macro_auc(classified: Classified) -> MacroAuc:
    """Return the one-against-rest AUC of each class, and their mean with its standard error.

    Notes
    -----
    The AUC of a class is a mean of DeLong's structural components (see `evaluate.ranking.placements`) over the class,
    and also over the rest. A sample of weight w changes it by about w / W (component - AUC), where W is the sum of
    weights of the class or of the rest, whichever has the sample; this is its influence. Each variance, and each
    covariance of two AUCs, is the sum over the samples of the product of the influences: the AUCs share their samples,
    and each sample is part of every AUC. The influence on the mean is the mean of the influences, and the square root
    of the sum of its squares is the standard error. Influences are divided by the square root of 1 - sum(w**2) / W**2,
    so that the error for each class is that of `evaluate.ranking.auc`.
    """
    by_class: list[Estimate | None] = []
    influence = np.zeros(classified.label.size)
    for number in range(classified.classes):
        columns = classified.rest(number)
        if not enough(columns[0]):
            by_class.append(None)
            continue
        value, changes = _influence(*columns)
        by_class.append(Estimate(value=value, standard_error=_error(changes)))
        influence += changes / classified.classes
    defined = [estimate.value for estimate in by_class if estimate]
    mean = None
    if len(defined) == classified.classes:
        mean = Estimate(value=float(np.mean(defined)), standard_error=_error(influence))
    return MacroAuc(by_class=by_class, mean=mean, influence=influence)


def enough(signal: BoolArray) -> bool:
    """Return whether both classes have at least two samples."""
    return bool(2 <= np.count_nonzero(signal) <= signal.size - 2)


def _influence(signal: BoolArray, score: Float64Array, weight: Float64Array) -> tuple[float, Float64Array]:
    """Return an AUC and the influence of each sample on it, float64 (n,); see `macro_auc`."""
    influence = np.empty(score.size)
    for mask, component in zip((~signal, signal), reversed(ranking.placements(signal, score, weight)), strict=True):
        share = weight[mask] / weight[mask].sum()
        value = float(share @ component)
        freedom = 1 - float(share @ share)
        influence[mask] = share * (component - value) / math.sqrt(freedom) if freedom > 0 else 0.0
    return value, influence


def _error(influence: Float64Array) -> float:
    return math.sqrt(float(influence @ influence))


def compare_macro_auc(first: MacroAuc, second: MacroAuc) -> PairedTest | None:
    """Return the paired test of the mean AUCs of two classifiers on the same samples; None if one has no mean.

    Notes
    -----
    As in `evaluate.ranking.compare_auc`: the influence of a sample on the difference is the difference of its
    influences, so that the variance includes the covariance of the two means.
    """
    if first.mean is None or second.mean is None:
        return None
    error = _error(first.influence - second.influence)
    return ranking.paired_test(Estimate(value=first.mean.value - second.mean.value, standard_error=error))


@dataclass(frozen=True, kw_only=True)
class PairwiseAuc:
    """AUCs of all pairs of classes, and their mean.

    Attributes
    ----------
    by_pair
        AUC that separates the classes i < j, for the pairs with at least two samples of each.
    mean
        Plain mean over all pairs; None if one of them is missing.
    """

    by_pair: dict[tuple[int, int], Estimate]
    mean: Estimate | None


def pairwise_auc(classified: Classified) -> PairwiseAuc:
    """Return the AUC of every pair of classes, and their mean with its standard error, computed as in `macro_auc`.

    The samples of a pair are those of its classes i and j, i is the signal, and the score is p_i / (p_i + p_j), or 1/2
    where both are zero. Swapping the classes gives the same AUC.
    """
    members = [np.flatnonzero(classified.label == number) for number in range(classified.classes)]
    pairs = list(itertools.combinations(range(classified.classes), 2))
    by_pair, influence = {}, np.zeros(classified.label.size)
    for i, j in pairs:
        if min(members[i].size, members[j].size) < 2:
            continue
        rows = np.concatenate([members[i], members[j]])
        own, other = classified.probability[rows, i], classified.probability[rows, j]
        total = own + other
        score = np.divide(own, total, out=np.full(rows.size, 0.5), where=total > 0)
        value, changes = _influence(np.arange(rows.size) < members[i].size, score, classified.weight[rows])
        by_pair[i, j] = Estimate(value=value, standard_error=_error(changes))
        influence[rows] += changes / len(pairs)
    mean = None
    if len(by_pair) == len(pairs):
        value = float(np.mean([estimate.value for estimate in by_pair.values()]))
        mean = Estimate(value=value, standard_error=_error(influence))
    return PairwiseAuc(by_pair=by_pair, mean=mean)


def rejections(
    classified: Classified, number: int, curve: Roc, efficiencies: Sequence[float]
) -> list[list[Estimate | None]]:
    """Return the rejection of every other class by cuts on the probability of one class.

    A cut is the tightest one with at least the given efficiency for the class. Errors are those of
    `evaluate.ranking.background_rejection`; value and error are infinite if no sample of a class passes.

    Parameters
    ----------
    classified
        The samples.
    number
        The class that is selected.
    curve
        Its ROC curve against the rest.
    efficiencies
        Fractions of the class that pass.

    Returns
    -------
    list
        For each efficiency, the rejection of every class; None for the class itself and for classes without samples.
    """
    score = np.ascontiguousarray(classified.probability[:, number])
    whole, whole_square = _sums(classified, slice(None))
    table = []
    for cut in curve.threshold[np.searchsorted(curve.signal, efficiencies)]:
        passed, square = _sums(classified, score >= cut)
        table.append(
            [
                ranking.rejection(passed[other], whole[other], square[other], whole_square[other])
                if other != number and whole[other]
                else None
                for other in range(classified.classes)
            ]
        )
    return table


def _sums(classified: Classified, rows: BoolArray | slice) -> tuple[list[float], list[float]]:
    """Return the sums of weights and of squared weights of some samples, by class."""
    label, weight = classified.label[rows], classified.weight[rows]
    first, second = (np.bincount(label, power, minlength=classified.classes) for power in (weight, weight**2))
    return first.tolist(), second.tolist()
