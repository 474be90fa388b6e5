"""Metrics of the probabilities of more than two classes, with standard errors.

The most probable class of a sample is the first one with the largest probability.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from evaluate import metrics, scored
from evaluate.metrics import Calibration, Estimate
from store.arrays import BoolArray, Float64Array, Int64Array
from store.errors import RunError
from store.predictions import SUM_TOLERANCE


@dataclass(frozen=True, kw_only=True)
class Classified:
    """Samples with checked labels, probabilities and positive weights.

    Attributes
    ----------
    label
        int64 (n,), true classes.
    probability
        float64 (n, class), in [0, 1]; each row adds up to 1.
    weight
        float64 (n,), positive. Equal weights are replaced by 1 and take no memory.
    """

    label: Int64Array
    probability: Float64Array
    weight: Float64Array

    @property
    def classes(self) -> int:
        """Number of classes."""
        return int(self.probability.shape[1])

    @property
    def predicted(self) -> Int64Array:
        """Most probable class of each sample, int64 (n,)."""
        predicted: Int64Array = self.probability.argmax(axis=1)
        return predicted

    @property
    def confidence(self) -> Float64Array:
        """Largest probability of each sample, float64 (n,)."""
        confidence: Float64Array = self.probability.max(axis=1)
        return confidence

    @property
    def right(self) -> BoolArray:
        """Whether the most probable class of each sample is the true one, bool (n,)."""
        return np.equal(self.predicted, self.label)

    @property
    def own(self) -> Float64Array:
        """Probability of the true class of each sample, float64 (n,)."""
        return np.take_along_axis(self.probability, self.label[:, None], axis=1)[:, 0]

    def rest(self, number: int) -> tuple[BoolArray, Float64Array, Float64Array]:
        """Return labels, scores and weights of one class against the rest: two classes, the first is the signal."""
        return self.label == number, np.ascontiguousarray(self.probability[:, number]), self.weight


def checked(label: ArrayLike, probability: ArrayLike, weight: ArrayLike | None = None) -> Classified:
    """Check the columns and return them without samples of weight 0.

    Parameters
    ----------
    label
        (n,), numbers of the true classes, from 0.
    probability
        (n, class), for three or more classes.
    weight
        (n,), weight of each sample; by default 1. Only ratios of weights matter.

    Raises
    ------
    RunError
        If a label is not the number of a class, the probabilities of a sample are not in [0, 1] or do not add up to 1,
        or the weights or the number of samples break a rule of `evaluate.scored.checked`.
    """
    label, probability = np.asarray(label), np.asarray(probability, dtype=np.float64)
    if label.ndim != 1 or probability.ndim != 2 or len(label) != len(probability) or probability.shape[1] < 3:
        raise RunError(
            f"expected a column of labels, and at least three columns of probabilities of the same length, got "
            f"{label.shape} and {probability.shape}"
        )
    classes = probability.shape[1]
    scored.refuse(f"labels must be classes, 0 to {classes - 1}", label, ~np.isin(label, np.arange(classes)))
    low, high, total = probability.min(axis=1), probability.max(axis=1), probability.sum(axis=1)
    outside = ~((low >= 0) & (high <= 1))  # NaN is outside too
    scored.refuse("probabilities must be in [0, 1]", np.where(low >= 0, high, low), outside)
    scored.refuse("the probabilities of a sample must add up to 1", total, np.abs(total - 1) > SUM_TOLERANCE)
    rows, weights = scored.used_rows(weight, label.size)
    return Classified(label=label.astype(np.int64)[rows], probability=probability[rows], weight=weights)


def accuracy(classified: Classified) -> Estimate:
    """Return the fraction of samples whose most probable class is the true one."""
    return metrics.fraction(classified.right, classified.weight)


def compare_accuracy(first: Classified, second: Classified) -> Estimate:
    """Return the accuracy of one classifier minus that of another on the same samples, with its paired error."""
    return metrics.mean(first.right.astype(np.float64) - second.right, first.weight)


def top_2_accuracy(classified: Classified) -> Estimate:
    """Return the fraction of samples whose true class is one of the two most probable ones.

    Of classes with equal probabilities, those with lower numbers come first.
    """
    own, before = classified.own, np.zeros(classified.label.size, np.int64)
    for number, column in enumerate(classified.probability.T):
        before += (column > own) | ((column == own) & (number < classified.label))
    return metrics.fraction(before < 2, classified.weight)


def log_loss(classified: Classified) -> Estimate:
    """Return the mean cross-entropy in nats: minus the logarithm of the probability of the true class.

    Probabilities are clipped to [epsilon, 1 - epsilon] of float64, as scikit-learn does.
    """
    epsilon = np.finfo(np.float64).eps
    return metrics.mean(-np.log(classified.own.clip(epsilon, 1 - epsilon)), classified.weight)


def brier_score(classified: Classified) -> Estimate:
    """Return the mean over the samples of the sum over classes of the squared difference from the truth.

    The truth is 1 for the true class and 0 for any other. The score lies between 0 and 2.

    Notes
    -----
    Brier, Monthly Weather Review 78 (1950) 1.
    """
    squares = np.einsum("ij,ij->i", classified.probability, classified.probability)
    return metrics.mean(squares + 1 - 2 * classified.own, classified.weight)


def calibration(classified: Classified) -> Calibration:
    """Return the accuracy in bins of the largest probability, which should be equal to it.

    In the result, `score` is the mean largest probability and `frequency` the accuracy.

    Notes
    -----
    Guo et al., "On calibration of modern neural networks", ICML 2017.
    """
    return metrics.calibration(classified.right, classified.confidence, classified.weight)


@dataclass(frozen=True, kw_only=True)
class Confusion:
    """Samples by true class (rows) and most probable class (columns).

    Attributes
    ----------
    count
        int64 (class, class), number of samples.
    weight, square
        float64 (class, class), sum of their weights and of their squared weights.
    """

    count: Int64Array
    weight: Float64Array
    square: Float64Array

    def precision(self, number: int) -> Estimate | None:
        """Return the fraction of a class among samples for which it is the most probable one; None without samples."""
        return _share(self.weight[:, number], self.square[:, number], number)

    def recall(self, number: int) -> Estimate | None:
        """Return the fraction of a class for which it is the most probable one; None without samples."""
        return _share(self.weight[number], self.square[number], number)

    def shares(self) -> list[list[Estimate | None]]:
        """Return the matrix as fractions of the true classes, with binomial errors; None in rows without samples."""
        rows = zip(self.weight, self.square, strict=True)
        return [[_share(*row, number) for number in range(len(self.weight))] for row in rows]


def confusion(classified: Classified) -> Confusion:
    """Return the confusion matrix."""
    classes, weight = classified.classes, classified.weight
    cell = classified.label * classes + classified.predicted
    total, square = (np.bincount(cell, power, minlength=classes**2) for power in (weight, weight**2))
    return Confusion(
        count=np.bincount(cell, minlength=classes**2).reshape(classes, classes),
        weight=total.reshape(classes, classes).astype(np.float64),
        square=square.reshape(classes, classes).astype(np.float64),
    )


def _share(weight: Float64Array, square: Float64Array, number: int) -> Estimate | None:
    """Return the fraction that one cell has of the sum of some cells; None if they are empty."""
    whole = weight.sum()
    return metrics.binomial(weight[number], whole, square[number], square.sum()) if whole else None
