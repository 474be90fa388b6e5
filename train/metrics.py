"""Loss, accuracy and AUC, computed in float64 over all samples of a pass and not as averages of batch means.

With weights, each sample counts with its weight in all three.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from store.arrays import BoolArray, Float64Array, UInt8Array


@dataclass(frozen=True, kw_only=True)
class TrainingMetrics:
    """How well logits separate the classes.

    Attributes
    ----------
    loss
        Mean cross-entropy, in nats.
    accuracy
        Fraction of samples whose most probable class is the true one.
    auc
        Area under the ROC curve. For more than two classes, the mean over the classes of the areas that each has
        against all others together. None if a class has no samples.
    """

    loss: float
    accuracy: float
    auc: float | None


def compute_metrics(
    label: UInt8Array,
    logit: Float64Array,
    weight: npt.NDArray[np.floating[Any]] | None = None,
    target: npt.NDArray[np.floating[Any]] | None = None,
) -> TrainingMetrics:
    """Compute the metrics of some samples.

    Parameters
    ----------
    label
        uint8 (n,), true classes.
    logit
        float64 (n,), logits of class 1, or float64 (n, K), logits of each of K > 2 classes.
    weight
        (n,), weight of each sample, with a positive sum; 1 by default. Some weights may be negative.
    target
        (n,) or (n, K), the probabilities that the loss compares with, in place of the labels; accuracy and AUC are
        always those of the labels.
    """
    weights = None if weight is None else weight.astype(np.float64)
    if logit.ndim == 2:
        return _compute_multiclass(label, logit, weights, target)
    positive = label == 1
    if target is None:
        losses = np.logaddexp(0.0, np.where(positive, -logit, logit))
    else:
        losses = target * np.logaddexp(0.0, -logit) + (1 - target) * np.logaddexp(0.0, logit)
    return TrainingMetrics(
        loss=float(np.average(losses, weights=weights)),
        accuracy=float(np.average((logit > 0) == positive, weights=weights)),
        auc=_auc(positive, logit, weights),
    )


def _compute_multiclass(
    label: UInt8Array,
    logit: Float64Array,
    weight: Float64Array | None,
    target: npt.NDArray[np.floating[Any]] | None,
) -> TrainingMetrics:
    partition = _log_partition(logit)
    expected = logit[np.arange(label.size), label] if target is None else (target * logit).sum(1)
    areas = [_auc(label == k, np.exp(of_class - partition), weight) for k, of_class in enumerate(logit.T)]
    known = [area for area in areas if area is not None]
    return TrainingMetrics(
        loss=float(np.average(partition - expected, weights=weight)),
        accuracy=float(np.average(logit.argmax(1) == label, weights=weight)),
        auc=float(np.mean(known)) if len(known) == len(areas) else None,
    )


def _auc(positive: BoolArray, score: Float64Array, weight: Float64Array | None) -> float | None:
    """Return the area under the ROC curve, or None if all samples are of one class."""
    if weight is None:
        from sklearn.metrics import roc_auc_score

        return None if positive.all() or not positive.any() else float(roc_auc_score(positive, score))
    # With weights, it is the weighted share of pairs in the right order.
    group = np.unique(score, return_inverse=True)[1]
    signal, background = (np.bincount(group, np.where(chosen, weight, 0.0)) for chosen in (positive, ~positive))
    below = np.cumsum(background) - background / 2  # ties count half
    pairs = signal.sum() * background.sum()
    return float(signal @ below / pairs) if pairs > 0 else None


def probability(logit: Float64Array) -> Float64Array:
    """Return the probabilities that logits stand for, without overflow for large ones.

    For logits (n,) these are the probabilities (n,) of class 1, for logits (n, K) the probabilities (n, K) of each
    class.
    """
    return np.exp(logit - _log_partition(logit)[:, None]) if logit.ndim == 2 else sigmoid(logit)


def sigmoid(logit: Float64Array) -> Float64Array:
    """Return the probabilities of class 1 for logits, without overflow for large ones."""
    score: Float64Array = np.exp(-np.logaddexp(0.0, -logit))
    return score


def _log_partition(logit: Float64Array) -> Float64Array:
    """Return the logarithm of the sum of the exponentials of each row, class by class to save memory."""
    highest = logit.max(1)
    total = sum(np.exp(of_class - highest) for of_class in logit.T)
    logarithm: Float64Array = highest + np.log(total)
    return logarithm
