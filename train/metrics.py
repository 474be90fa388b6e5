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
        Mean binary cross-entropy, in nats.
    accuracy
        Fraction of samples whose more probable class is the true one.
    auc
        Area under the ROC curve; None if all samples are of one class.
    """

    loss: float
    accuracy: float
    auc: float | None


def compute_metrics(
    label: UInt8Array, logit: Float64Array, weight: npt.NDArray[np.floating[Any]] | None = None
) -> TrainingMetrics:
    """Compute the metrics of some samples.

    Parameters
    ----------
    label
        uint8 (n,), true classes, 0 or 1.
    logit
        float64 (n,), logits of class 1.
    weight
        (n,), weight of each sample, with a positive sum; 1 by default. Some weights may be negative.
    """
    if weight is not None:
        return _compute_weighted(label == 1, logit, weight.astype(np.float64))
    from sklearn.metrics import roc_auc_score

    positive = label == 1
    return TrainingMetrics(
        loss=float(np.mean(_cross_entropy(positive, logit))),
        accuracy=float(np.mean((logit > 0) == positive)),
        auc=None if positive.all() or not positive.any() else float(roc_auc_score(positive, logit)),
    )


def _cross_entropy(positive: BoolArray, logit: Float64Array) -> Float64Array:
    entropy: Float64Array = np.logaddexp(0.0, np.where(positive, -logit, logit))
    return entropy


def _compute_weighted(positive: BoolArray, logit: Float64Array, weight: Float64Array) -> TrainingMetrics:
    """Return the metrics of weighted samples; the AUC is the weighted share of pairs in the right order."""
    group = np.unique(logit, return_inverse=True)[1]
    signal, background = (np.bincount(group, np.where(chosen, weight, 0.0)) for chosen in (positive, ~positive))
    below = np.cumsum(background) - background / 2  # ties count half
    pairs = signal.sum() * background.sum()
    return TrainingMetrics(
        loss=float(np.average(_cross_entropy(positive, logit), weights=weight)),
        accuracy=float(np.average((logit > 0) == positive, weights=weight)),
        auc=float(signal @ below / pairs) if pairs > 0 else None,
    )


def sigmoid(logit: Float64Array) -> Float64Array:
    """Return the probabilities of class 1 for logits, without overflow for large ones."""
    score: Float64Array = np.exp(-np.logaddexp(0.0, -logit))
    return score
