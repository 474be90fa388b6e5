"""calostream: from the predictions of trained classifiers to figures, tables and a report."""

from typing import TYPE_CHECKING

from store.lazy import lazy_names

if TYPE_CHECKING:
    from evaluate.metrics import Estimate, accuracy, brier_score, calibration, log_loss
    from evaluate.ranking import auc, background_rejection, compare_auc, roc
else:
    __getattr__ = lazy_names(__name__)

__all__ = [
    "Estimate",
    "accuracy",
    "auc",
    "background_rejection",
    "brier_score",
    "calibration",
    "compare_auc",
    "log_loss",
    "roc",
]
