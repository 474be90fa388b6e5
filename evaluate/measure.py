"""All metrics of one column of scores as a JSON-able document."""

import math
from typing import Any

import numpy as np

from evaluate import metrics, ranking
from evaluate.metrics import Array, Estimate

SIGNAL_EFFICIENCIES = (0.5, 0.7, 0.9, 0.95)
SCORE_BINS = 40
CURVE_POINTS = 201
SHARE, DIFFERENCE, POSITIVE = (0.0, 1.0), (-1.0, 1.0), (0.0, math.inf)

Document = dict[str, Any]


def measure(label: Array, score: Array, best_threshold: float | None = None) -> Document:
    """Return every metric of some scores.

    Parameters
    ----------
    label
        (n,), 0 or 1.
    score
        (n,), probabilities of class 1.
    best_threshold
        A threshold chosen on other samples, for a second accuracy.

    Returns
    -------
    dict
        An estimate is an object of ``value``, ``standard_error`` and ``interval``. Null stands for what cannot be
        computed: AUC, average precision and rejections with less than two samples of a class, a rejection without
        background above the cut, precision without samples above the threshold.

    Raises
    ------
    RunError
        As `evaluate.metrics.checked_probability`.
    """
    signal = metrics.checked_probability(label, score)[0]
    ones = int(signal.sum())
    accuracies = {"accuracy": metrics.accuracy(label, score)}
    if best_threshold is not None:
        accuracies["accuracy_at_best_threshold"] = metrics.accuracy(label, score, best_threshold)
    return {
        "samples": signal.size,
        "signal_samples": ones,
        "background_samples": signal.size - ones,
        **_measure_ranking(label, score, min(ones, signal.size - ones) >= 2),
        **{name: estimate(value, SHARE) for name, value in accuracies.items()},
        "precision": estimate(metrics.precision(label, score), SHARE),
        "recall": estimate(metrics.recall(label, score), SHARE),
        "log_loss": estimate(metrics.log_loss(label, score), POSITIVE),
        "brier_score": estimate(metrics.brier_score(label, score), SHARE),
        "expected_calibration_error": metrics.calibration(label, score).expected_error,
    }


def _measure_ranking(label: Array, score: Array, both_classes: bool) -> Document:
    efficiencies = [str(efficiency) for efficiency in SIGNAL_EFFICIENCIES]
    if not both_classes:
        return {"auc": None, "average_precision": None, "background_rejection": dict.fromkeys(efficiencies)}
    curve = ranking.roc(label, score)
    rejections = ranking.background_rejection(curve, SIGNAL_EFFICIENCIES)
    return {
        "auc": estimate(curve.auc, SHARE),
        "average_precision": curve.average_precision,
        "background_rejection": {
            name: estimate(rejection, (1.0, math.inf)) for name, rejection in zip(efficiencies, rejections, strict=True)
        },
    }


def draw(label: Array, score: Array) -> Document:
    """Return what the curves of a page show, as numbers: ROC (some of its points), calibration, score histograms."""
    signal, score = metrics.checked_probability(label, score)
    curve, bins = ranking.roc(signal, score), metrics.calibration(signal, score)
    at = np.unique([*np.searchsorted(curve.signal, np.linspace(0, 1, CURVE_POINTS)), curve.signal.size - 1])
    edges = np.linspace(0, 1, SCORE_BINS + 1)
    return {
        "roc": {
            "background_efficiency": curve.background[at].tolist(),
            "signal_efficiency": curve.signal[at].tolist(),
            "precision": curve.precision[at].tolist(),
        },
        "calibration": {
            "samples": bins.count.tolist(),
            "mean_score": bins.score.tolist(),
            "signal_share": bins.frequency.tolist(),
        },
        "score_histogram": {
            "edges": edges.tolist(),
            "background": np.histogram(score[~signal], edges)[0].tolist(),
            "signal": np.histogram(score[signal], edges)[0].tolist(),
        },
    }


def estimate(value: Estimate | None, bounds: tuple[float, float]) -> Document | None:
    """Return an estimate as a document, null if there is none or it is infinite."""
    if value is None or not math.isfinite(value.value):
        return None
    interval = list(value.interval(bounds))
    return {"value": value.value, "standard_error": value.standard_error, "interval": interval}
