"""Logistic regression on a few features of each sample."""

import time
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from store.arrays import Float64Array
from store.epoch_record import EpochRecord
from train.baselines.baseline import Baseline, check_array, check_outputs
from train.baselines.table import FeatureTable
from train.baselines.training import BaselineConfig, make_record


@dataclass(frozen=True, kw_only=True)
class LogisticConfig(BaselineConfig):
    """Settings for training a logistic regression."""

    model: ClassVar[str] = "logistic"
    framework: ClassVar[str] = "logistic"


@dataclass(frozen=True, kw_only=True)
class Logistic(Baseline):
    """A logistic regression: the logit is a linear function of the features.

    Attributes
    ----------
    weight
        float64 (feature,), or float64 (feature, K) for K > 2 classes.
    bias
        float64 (), or float64 (K,).
    """

    file_name: ClassVar[str] = "logistic.npz"
    description: ClassVar[str] = "a logistic regression"
    weight: Float64Array
    bias: Float64Array

    def check(self) -> None:
        """Check that every class has one finite weight per feature, and a finite bias."""
        check_outputs("bias", self.bias)
        check_array("weight", self.weight, "f", (*self.weight.shape[:1], *self.bias.shape))

    def takes(self, features: int) -> bool:
        """Return whether there are as many weights."""
        return len(self.weight) == features

    @property
    def parameter_count(self) -> int:
        """Number of weights and biases."""
        return self.weight.size + self.bias.size

    def logit(self, feature: Float64Array) -> Float64Array:
        """Return the logits (n,) or (n, K) of features (n, feature)."""
        return np.asarray(feature @ self.weight + self.bias)


def fit_logistic(training: FeatureTable, validation: FeatureTable) -> tuple[Logistic, list[EpochRecord]]:
    """Fit a logistic regression to the training split.

    The features are standardised with their mean and standard deviation in the training split, and fitted with
    ``sklearn.linear_model.LogisticRegression``: an L2 penalty on the weights with C = 1, and with more than two classes
    one logit per class. Negative weights of samples count as zero.

    Returns
    -------
    Logistic
        The classifier, of features that are not standardised.
    list
        A single record, with the metrics of both splits.
    """
    from sklearn.linear_model import LogisticRegression

    from train.progress import watch_count

    began = time.perf_counter()
    mean, deviation = training.feature.mean(0), training.feature.std(0)
    deviation = np.where(deviation > 0, deviation, 1)
    with watch_count("fitting", None):
        fitted = LogisticRegression(max_iter=1000).fit(
            (training.feature - mean) / deviation, training.label, training.positive_weight
        )
    weight, intercept = (fitted.coef_ / deviation).T, fitted.intercept_
    if len(intercept) == 1:
        weight, intercept = weight[:, 0], intercept[0]
    classifier = Logistic(weight=weight, bias=np.asarray(intercept - mean @ weight))
    seconds = time.perf_counter() - began
    logits = tuple(classifier.logit(table.feature) for table in (training, validation))
    return classifier, [make_record(1, (training, validation), logits, seconds=seconds)]
