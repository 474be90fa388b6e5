"""Curves of classifiers with the errors that the finite number of samples gives them, from a paired bootstrap."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from store.arrays import BoolArray, Float64Array, Int64Array
from store.predictions import Predictions

REPLICATES = 100  # which gives a standard error to within 7 %
BAND_NOTE = "Bands: one standard error, from a bootstrap of the test samples."
SEED = 20260101
POINTS = 201
BACKGROUND_EFFICIENCIES = np.linspace(0, 1, POINTS) ** 2
"""Where the height of a ROC curve is known: closer together where the curve is steep."""
SIGNAL_EFFICIENCIES = np.linspace(0, 1, POINTS)[1:]
"""Where the rejection is known."""


@dataclass(frozen=True, kw_only=True)
class Band:
    """A curve with a band of one standard error around it, each point for itself; all float64 (k,)."""

    value: Float64Array
    low: Float64Array
    high: Float64Array


@dataclass(frozen=True, kw_only=True)
class CurveBands:
    """The curves of one classifier.

    Attributes
    ----------
    signal
        Signal efficiency at each of `BACKGROUND_EFFICIENCIES`: the ROC curve.
    rejection
        1 / background efficiency at each of `SIGNAL_EFFICIENCIES`, as `evaluate.ranking.background_rejection`; NaN
        where no background passes.
    signal_ratio, rejection_ratio
        The same, divided by the values of the first classifier; None for the first one, and for classifiers with other
        samples.
    """

    signal: Band
    rejection: Band
    signal_ratio: Band | None = None
    rejection_ratio: Band | None = None


@dataclass(frozen=True, kw_only=True)
class _Cuts:
    """The samples of a classifier in descending order of the score, and the last one of each score.

    Attributes
    ----------
    order, last
        int64 (n,) and (cuts,).
    background, signal
        float64 (n,), weights of the samples of each class in that order, and 0 for those of the other class.
    """

    order: Int64Array
    last: Int64Array
    background: Float64Array
    signal: Float64Array

    @classmethod
    def of(cls, predictions: Predictions) -> "_Cuts":
        """Return the cuts of a classifier of two classes."""
        score = predictions.score
        order = np.argsort(score, kind="stable")[::-1]
        last = np.append(np.flatnonzero(np.diff(score[order])), score.size - 1)
        weight = np.ones(score.size) if predictions.weight is None else predictions.weight[order]
        signal: BoolArray = predictions.label[order] == 1
        return cls(order=order, last=last, background=weight * ~signal, signal=weight * signal)

    def efficiencies(self, multiplicity: Int64Array | None = None) -> tuple[Float64Array, Float64Array]:
        """Return (signal at each background efficiency, background at each signal efficiency).

        Parameters
        ----------
        multiplicity
            (n,), how often each sample counts, in the order of the predictions; by default once.
        """
        times = 1 if multiplicity is None else multiplicity[self.order]
        background, signal = (
            np.append(0.0, np.cumsum(part * times)[self.last]) for part in (self.background, self.signal)
        )
        if not (background[-1] and signal[-1]):  # a replicate without a sample of one class
            return self.efficiencies()
        background, signal = background / background[-1], signal / signal[-1]
        rows = np.minimum(np.searchsorted(signal, SIGNAL_EFFICIENCIES), signal.size - 1)
        return np.interp(BACKGROUND_EFFICIENCIES, background, signal), background[rows]


def measure_bands(classifiers: Sequence[Predictions]) -> list[CurveBands]:
    """Return the curves of classifiers with two classes, each of which has at least two samples.

    Each replicate of the bootstrap counts each sample as often as a Poisson distribution of mean 1 says. Classifiers
    with the samples of the first one share these numbers, so the errors of ratios are those of paired differences.
    """
    cuts = [_Cuts.of(predictions) for predictions in classifiers]
    first = classifiers[0].sample
    partner = [0 if np.array_equal(one.sample, first) else number for number, one in enumerate(classifiers)]
    values = [cut.efficiencies() for cut in cuts]
    signal = np.empty((len(cuts), REPLICATES, BACKGROUND_EFFICIENCIES.size))
    background = np.empty((len(cuts), REPLICATES, SIGNAL_EFFICIENCIES.size))
    for replicate in range(REPLICATES):
        for group in dict.fromkeys(partner):
            size = classifiers[group].sample.size
            multiplicity = np.random.default_rng([SEED, replicate, group]).poisson(1.0, size)
            for number in (number for number, of in enumerate(partner) if of == group):
                signal[number, replicate], background[number, replicate] = cuts[number].efficiencies(multiplicity)
    half = [0.5 / np.count_nonzero(cut.background) for cut in cuts]  # of an event: the logarithm of 0 is not finite
    rejection = -np.log(np.maximum(background, np.reshape(half, (-1, 1, 1))))
    logs = np.log(np.maximum(signal, 1e-12))
    bands = []
    for number, (of_signal, of_background) in enumerate(values):
        error = np.std(signal[number], axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            rejected = np.where(of_background > 0, 1 / of_background, np.nan)
            ratios = of_signal / values[0][0], rejected * values[0][1]
        paired = number > 0 and partner[number] == 0
        bands.append(
            CurveBands(
                signal=Band(
                    value=of_signal, low=np.maximum(of_signal - error, 0), high=np.minimum(of_signal + error, 1)
                ),
                rejection=_around(rejected, rejection[number]),
                signal_ratio=_around(ratios[0], logs[number] - logs[0]) if paired else None,
                rejection_ratio=_around(ratios[1], rejection[number] - rejection[0]) if paired else None,
            )
        )
    return bands


def _around(value: Float64Array, logarithms: Float64Array) -> Band:
    """Return a band that is symmetric on a logarithmic scale, from logarithms (replicate, k)."""
    factor = np.exp(np.std(logarithms, axis=0))
    return Band(value=value, low=value / factor, high=value * factor)
