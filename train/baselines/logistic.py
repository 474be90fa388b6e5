"""Logistic regression: the least that can be learned from a few numbers."""

import time
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from store.run_folder import EpochRecord
from train.baselines.baseline import Baseline, BaselineConfig, Floats, Table, describe_epoch


@dataclass(frozen=True, kw_only=True)
class LogisticConfig(BaselineConfig):
    """One training run of logistic regression."""

    model: ClassVar[str] = "logistic"
    framework: ClassVar[str] = "logistic"


@dataclass(frozen=True, kw_only=True)
class Logistic(Baseline):
    """A weighted sum.

    Attributes
    ----------
    weight
        float64 (feature,).
    bias
        float64 ().
    """

    file: ClassVar[str] = "logistic.npz"
    title: ClassVar[str] = "a logistic regression"
    weight: Floats
    bias: Floats

    @property
    def parameters(self) -> int:
        """Weights and the bias."""
        return self.weight.size + 1

    def logit(self, feature: Floats) -> Floats:
        """Return logits (n,) of features (n, feature)."""
        return np.asarray(feature @ self.weight + self.bias)


def regress(training: Table, validation: Table) -> tuple[Logistic, list[EpochRecord]]:
    """Fit the training split, features standardised by it, with scikit-learn's weak penalty on large weights.

    Returns
    -------
    Logistic
        Of the features as they are.
    list
        Seconds, loss, accuracy and AUC on both splits, once.
    """
    from sklearn.linear_model import LogisticRegression

    began = time.perf_counter()
    mean, deviation = training.feature.mean(0), training.feature.std(0)
    deviation = np.where(deviation > 0, deviation, 1)
    fitted = LogisticRegression(max_iter=1000).fit((training.feature - mean) / deviation, training.label)
    weight = fitted.coef_[0] / deviation
    classifier = Logistic(weight=weight, bias=np.asarray(fitted.intercept_[0] - mean @ weight))
    seconds = time.perf_counter() - began
    logits = tuple(classifier.logit(table.feature) for table in (training, validation))
    return classifier, [describe_epoch(1, (training, validation), logits, seconds)]
