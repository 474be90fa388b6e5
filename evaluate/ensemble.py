"""The mean of the logits of several runs, which is measured like a run."""

import functools
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from evaluate import class_metrics
from evaluate.comparisons import comparable, join_runs
from evaluate.ranking import checked_classes
from evaluate.results import StoreIdentity
from evaluate.runs import BASELINES, Run
from evaluate.scored import checked_probability, same_weights
from evaluate.seeds import describe_settings
from store.arrays import Float64Array, Int64Array
from store.datasets import SPLITS, DatasetSpec
from store.errors import RunError
from store.predictions import Predictions

FRAMEWORK_SETTINGS = ("framework", "precision")
"""Settings that may differ between repetitions of one training, beside those that may differ between seeds."""


@dataclass(frozen=True, kw_only=True)
class Ensemble:
    """Networks that were evaluated on the same test samples, as one classifier.

    Attributes
    ----------
    name
        Unique in the report, such as ``mean of 3 runs``.
    runs
        The runs of the networks, two or more.
    predictions
        The means of their logits as probabilities, by split, for the samples that all of the runs have.
    """

    name: str
    runs: tuple[Run, ...]
    predictions: Mapping[str, Predictions]

    @property
    def spec(self) -> DatasetSpec:
        """Layout and meaning of the images."""
        return self.runs[0].spec

    @property
    def store(self) -> StoreIdentity:
        """The store that the runs were trained on."""
        return self.runs[0].store


def mean_score(scores: Sequence[Float64Array]) -> Float64Array:
    """Return the probabilities that belong to the mean of the logits of several classifiers.

    The logits of K classes are the logarithms of their probabilities, up to a constant for each sample. Their mean is
    normalised again, so the constants drop out: the result is the normalised geometric mean of the probabilities. For
    two classes, it is the sigmoid of the mean of log(p / (1 - p)).

    Parameters
    ----------
    scores
        One array per classifier: probability of class 1, (n,), or for K > 2 classes that of each class, (n, K). They
        are clipped to [epsilon, 1 - epsilon] of float64, like in `evaluate.metrics.log_loss`.
    """
    epsilon = np.finfo(np.float64).eps
    if scores[0].ndim == 1:
        logit = np.zeros(scores[0].shape)
        for score in scores:
            clipped = score.clip(epsilon, 1 - epsilon)
            logit += (np.log(clipped) - np.log1p(-clipped)) / len(scores)
        probability: Float64Array = 1 / (1 + np.exp(-logit))
        return probability
    logarithm = np.zeros(scores[0].shape)
    for score in scores:
        logarithm += np.log(score.clip(epsilon, 1 - epsilon)) / len(scores)
    power: Float64Array = np.exp(logarithm - logarithm.max(axis=1, keepdims=True))
    power /= power.sum(axis=1, keepdims=True)
    return power


def find_ensembles(runs: Sequence[Run]) -> tuple[list[Ensemble], list[str]]:
    """Return the means of networks that were evaluated on the same test samples, and warnings about missing means.

    Repetitions of one training are averaged: networks of the same architecture and settings, apart from the seed, the
    framework and `evaluate.seeds.WITHOUT_EFFECT`. Where no training is repeated, the mean is that of all networks.
    Baselines are left out: they are in a report to be compared with. Nothing is chosen by how well a run does.
    """
    ensembles: list[Ensemble] = []
    warnings: list[str] = []
    taken = {run.name for run in runs}
    for members in _find_members(runs):
        name = _free_name(f"mean of {len(members)} runs", taken)
        try:
            predictions = {split: _average(members, split) for split in SPLITS}
        except RunError as error:
            warnings.append(f"{join_runs(members)}: there is no mean of these runs: {error}")
            continue
        taken.add(name)
        ensembles.append(Ensemble(name=name, runs=members, predictions=predictions))
    return ensembles, warnings


def _find_members(runs: Sequence[Run]) -> list[tuple[Run, ...]]:
    """Return the networks of each mean of `find_ensembles`."""
    members: list[tuple[Run, ...]] = []
    for group in comparable(runs):
        networks = tuple(run for run in group if run.framework not in BASELINES)
        alike: dict[str, list[Run]] = {}
        for run in networks:
            alike.setdefault(describe_settings(run, FRAMEWORK_SETTINGS), []).append(run)
        repeated = [tuple(repetitions) for repetitions in alike.values() if len(repetitions) > 1]
        members += repeated or ([networks] if len(networks) > 1 else [])
    return members


def _free_name(name: str, taken: Container[str]) -> str:
    """Return a name, with a number after it if it is taken."""
    number = 1
    free = name
    while free in taken:
        number += 1
        free = f"{name} ({number})"
    return free


def _average(runs: Sequence[Run], split: str) -> Predictions:
    """Return the mean on the samples of a split that all runs have.

    Raises
    ------
    RunError
        If there are too few of these samples, or the runs give them different labels or weights.
    """
    parts = [run.predictions[split] for run in runs]
    sample = functools.reduce(np.intersect1d, (part.sample for part in parts))
    parts = [_take(part, np.searchsorted(part.sample, sample)) for part in parts]
    first = parts[0]
    if not all(np.array_equal(part.label, first.label) for part in parts):
        raise RunError(f"their labels of the same {split} samples differ")
    if not all(same_weights(part.weight, first.weight) for part in parts):
        raise RunError(f"their weights of the same {split} samples differ")
    mean = Predictions(
        sample=sample, label=first.label, score=mean_score([part.score for part in parts]), weight=first.weight
    )
    try:
        if mean.class_count == 2:
            checked_probability(*mean.scored)
            checked_classes(*mean.scored)
        else:
            class_metrics.checked(*mean.scored)
    except RunError as error:
        raise RunError(f"of the {sample.size} {split} samples that all of them have, {error}") from None
    return mean


def _take(part: Predictions, rows: Int64Array) -> Predictions:
    if rows.size == part.sample.size:
        return part
    weight = None if part.weight is None else part.weight[rows]
    return Predictions(sample=part.sample[rows], label=part.label[rows], score=part.score[rows], weight=weight)
