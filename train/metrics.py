"""Loss, accuracy and AUC, computed in float64 over all samples of a pass and not as averages of batch means."""

from dataclasses import dataclass

import numpy as np

from store.arrays import Float64Array, UInt8Array


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


def compute_metrics(label: UInt8Array, logit: Float64Array) -> TrainingMetrics:
    """Compute the metrics of some samples.

    Parameters
    ----------
    label
        uint8 (n,), true classes, 0 or 1.
    logit
        float64 (n,), logits of class 1.
    """
    from sklearn.metrics import roc_auc_score

    positive = label == 1
    return TrainingMetrics(
        loss=float(np.mean(np.logaddexp(0.0, np.where(positive, -logit, logit)))),
        accuracy=float(np.mean((logit > 0) == positive)),
        auc=None if positive.all() or not positive.any() else float(roc_auc_score(positive, logit)),
    )


def sigmoid(logit: Float64Array) -> Float64Array:
    """Return the probabilities of class 1 for logits, without overflow for large ones."""
    score: Float64Array = np.exp(-np.logaddexp(0.0, -logit))
    return score
