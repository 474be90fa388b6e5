"""All metrics and curves of one column of scores, as parts of a document."""

import math

import numpy as np
from numpy.typing import ArrayLike

from evaluate import metrics, ranking
from evaluate.intervals import FRACTION, NOT_NEGATIVE, if_defined, with_interval
from evaluate.parts import CalibrationCurve, Curves, Measurement, Metrics, RocCurve, ScoreHistogram
from evaluate.ranking import Roc
from evaluate.results import ThresholdConfusion
from evaluate.scored import checked_probability

SIGNAL_EFFICIENCIES = (0.5, 0.7, 0.9, 0.95)
SCORE_BINS = 40
CURVE_POINTS = 201


def measure(label: ArrayLike, score: ArrayLike, weight: ArrayLike | None = None) -> Metrics:
    """Return every metric of some scores.

    Parameters
    ----------
    label
        (n,), 0 or 1.
    score
        (n,), probability of class 1.
    weight
        (n,), weight of each sample; by default 1. Samples of weight 0 are left out.

    Returns
    -------
    Metrics
        None stands for what cannot be computed: AUC, average precision and rejections if a class has fewer than two
        samples, a rejection if no background passes the cut, precision if no sample has a score of at least 0.5.

    Raises
    ------
    RunError
        Like `evaluate.scored.checked_probability`.
    """
    scored = checked_probability(label, score, weight)
    columns = scored.signal, scored.score, scored.weight
    signal_samples = int(scored.signal.sum())
    background_samples = scored.signal.size - signal_samples
    roc = ranking.roc(*columns) if min(signal_samples, background_samples) >= 2 else None
    return Metrics(
        samples=scored.signal.size,
        signal_samples=signal_samples,
        background_samples=background_samples,
        auc=with_interval(roc.auc, FRACTION) if roc else None,
        average_precision=roc.average_precision if roc else None,
        background_rejection=_measure_rejections(roc),
        accuracy=with_interval(metrics.accuracy(*columns), FRACTION),
        precision=if_defined(metrics.precision(*columns), FRACTION),
        recall=if_defined(metrics.recall(*columns), FRACTION),
        log_loss=with_interval(metrics.log_loss(*columns), NOT_NEGATIVE),
        brier_score=with_interval(metrics.brier_score(*columns), FRACTION),
        expected_calibration_error=metrics.calibration(*columns).expected_error,
    )


def _measure_rejections(roc: Roc | None) -> dict[str, Measurement | None]:
    names = [str(efficiency) for efficiency in SIGNAL_EFFICIENCIES]
    if roc is None:
        return dict.fromkeys(names)
    rejections = ranking.background_rejection(roc, SIGNAL_EFFICIENCIES)
    return {name: if_defined(rejection, (1.0, math.inf)) for name, rejection in zip(names, rejections, strict=True)}


def measure_confusion(
    label: ArrayLike, score: ArrayLike, weight: ArrayLike | None = None, *, threshold: float
) -> ThresholdConfusion:
    """Return the samples of each class below a threshold and from it on, with binomial errors.

    Other parameters as `measure`. There must be samples of both classes.
    """
    scored = checked_probability(label, score, weight)
    cell = 2 * scored.signal.astype(np.int64) + (scored.score >= threshold)
    count, total, square = (
        np.bincount(cell, power, minlength=4).reshape(2, 2) for power in (None, scored.weight, scored.weight**2)
    )
    share = [
        [metrics.binomial(*map(float, (of_class[k], of_class.sum(), squares[k], squares.sum()))) for k in (0, 1)]
        for of_class, squares in zip(total, square, strict=True)
    ]
    return ThresholdConfusion(
        samples=count.tolist(), share=[[with_interval(estimate, FRACTION) for estimate in row] for row in share]
    )


def measure_curves(label: ArrayLike, score: ArrayLike, weight: ArrayLike | None = None) -> Curves:
    """Return curves as numbers: some points of the ROC curve, the calibration, and histograms of the scores.

    Parameters as `measure`. Raises RunError also if a class has fewer than two samples.
    """
    scored = checked_probability(label, score, weight)
    columns = scored.signal, scored.score, scored.weight
    roc, calibration = ranking.roc(*columns), metrics.calibration(*columns)
    efficiency = roc.signal
    points = np.unique([*np.searchsorted(efficiency, np.linspace(0, 1, CURVE_POINTS)), efficiency.size - 1])
    weights, squares = metrics.histogram(scored, SCORE_BINS)
    (background, signal), (background_error, signal_error) = weights.T.tolist(), np.sqrt(squares).T.tolist()
    return Curves(
        roc=RocCurve(
            background_efficiency=roc.background[points].tolist(),
            signal_efficiency=efficiency[points].tolist(),
            precision=roc.precision[points].tolist(),
        ),
        calibration=CalibrationCurve(
            samples=calibration.count.tolist(),
            mean_score=calibration.score.tolist(),
            signal_share=calibration.frequency.tolist(),
            standard_error=calibration.error.tolist(),
        ),
        score_histogram=ScoreHistogram(
            edges=np.linspace(0, 1, SCORE_BINS + 1).tolist(),
            background=background,
            signal=signal,
            background_error=background_error,
            signal_error=signal_error,
        ),
    )
