"""Loss, accuracy and AUC of a set of samples: over the samples, in float64, never an average of batch means."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """Quality of the logits of some samples.

    Attributes
    ----------
    loss
        Mean binary cross-entropy, in nats.
    accuracy
        Share of samples on the right side of a probability of 0.5.
    auc
        Area under the ROC curve, or None if all samples are of one class.
    """

    loss: float
    accuracy: float
    auc: float | None


def compute_metrics(label: npt.NDArray[np.uint8], logit: npt.NDArray[np.float64]) -> Metrics:
    """Return the quality of logits, float64 (n,), of samples of class 0 or 1, uint8 (n,)."""
    from sklearn.metrics import roc_auc_score

    positive = label == 1
    return Metrics(
        loss=float(np.mean(np.logaddexp(0.0, np.where(positive, -logit, logit)))),
        accuracy=float(np.mean((logit > 0) == positive)),
        auc=None if positive.all() or not positive.any() else float(roc_auc_score(positive, logit)),
    )


def sigmoid(logit: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return probabilities for logits, without overflow."""
    score: npt.NDArray[np.float64] = np.exp(-np.logaddexp(0.0, -logit))
    return score
