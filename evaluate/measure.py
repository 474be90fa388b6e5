"""All metrics of one column of scores as a JSON-able document."""

import math
from typing import Any

import numpy as np

from evaluate import metrics, ranking
from evaluate.metrics import Array, Calibration, Estimate, Scored
from evaluate.ranking import Roc

SIGNAL_EFFICIENCIES = (0.5, 0.7, 0.9, 0.95)
SCORE_BINS = 40
CURVE_POINTS = 201
SHARE, DIFFERENCE, POSITIVE = (0.0, 1.0), (-1.0, 1.0), (0.0, math.inf)

Document = dict[str, Any]


def measure(
    label: Array,
    score: Array,
    weight: Array | None = None,
    *,
    best_threshold: float | None = None,
    curves: bool = False,
) -> Document:
    """Return every metric of some scores.

    Parameters
    ----------
    label
        (n,), 0 or 1.
    score
        (n,), probabilities of class 1.
    weight
        (n,), how much a sample counts; by default 1. Those of weight 0 are left out.
    best_threshold
        A threshold chosen on other samples, for a second accuracy.
    curves
        Whether to return what the curves of a page show, too.

    Returns
    -------
    dict
        An estimate is an object of ``value``, ``standard_error`` and ``interval``. Null stands for what cannot be
        computed: AUC, average precision, rejections and curves with less than two samples of a class, a rejection
        without background above the cut, precision without samples above the threshold.

    Raises
    ------
    RunError
        As `evaluate.metrics.checked_probability`.
    """
    scored = metrics.checked_probability(label, score, weight)
    columns = scored.signal, scored.score, scored.weight
    ones = int(scored.signal.sum())
    zeros = scored.signal.size - ones
    roc = ranking.roc(*columns) if min(ones, zeros) >= 2 else None
    bins = metrics.calibration(*columns)
    accuracies = {"accuracy": metrics.accuracy(*columns)}
    if best_threshold is not None:
        accuracies["accuracy_at_best_threshold"] = metrics.accuracy(*columns, threshold=best_threshold)
    return {
        "samples": ones + zeros,
        "signal_samples": ones,
        "background_samples": zeros,
        **_measure_ranking(roc),
        **{name: estimate(value, SHARE) for name, value in accuracies.items()},
        "precision": estimate(metrics.precision(*columns), SHARE),
        "recall": estimate(metrics.recall(*columns), SHARE),
        "log_loss": estimate(metrics.log_loss(*columns), POSITIVE),
        "brier_score": estimate(metrics.brier_score(*columns), SHARE),
        "expected_calibration_error": bins.expected_error,
        **({"curves": _draw(scored, roc, bins) if roc else None} if curves else {}),
    }


def _measure_ranking(roc: Roc | None) -> Document:
    efficiencies = [str(efficiency) for efficiency in SIGNAL_EFFICIENCIES]
    if roc is None:
        return {"auc": None, "average_precision": None, "background_rejection": dict.fromkeys(efficiencies)}
    rejections = ranking.background_rejection(roc, SIGNAL_EFFICIENCIES)
    return {
        "auc": estimate(roc.auc, SHARE),
        "average_precision": roc.average_precision,
        "background_rejection": {
            name: estimate(rejection, (1.0, math.inf)) for name, rejection in zip(efficiencies, rejections, strict=True)
        },
    }


def _draw(scored: Scored, roc: Roc, bins: Calibration) -> Document:
    """Return curves as numbers: ROC (some of its points), calibration, score histograms."""
    efficiency = roc.signal
    at = np.unique([*np.searchsorted(efficiency, np.linspace(0, 1, CURVE_POINTS)), efficiency.size - 1])
    weights, squares = metrics.histogram(scored, SCORE_BINS)
    (background, signal), errors = weights.T.tolist(), np.sqrt(squares).T.tolist()
    return {
        "roc": {
            "background_efficiency": roc.background[at].tolist(),
            "signal_efficiency": efficiency[at].tolist(),
            "precision": roc.precision[at].tolist(),
        },
        "calibration": {
            "samples": bins.count.tolist(),
            "mean_score": bins.score.tolist(),
            "signal_share": bins.frequency.tolist(),
            "standard_error": bins.error.tolist(),
        },
        "score_histogram": {
            "edges": np.linspace(0, 1, SCORE_BINS + 1).tolist(),
            "background": background,
            "signal": signal,
            "background_error": errors[0],
            "signal_error": errors[1],
        },
    }


def estimate(value: Estimate | None, bounds: tuple[float, float]) -> Document | None:
    """Return an estimate as a document, null if there is none or it is infinite."""
    if value is None or not math.isfinite(value.value):
        return None
    interval = list(value.interval(bounds))
    return {"value": value.value, "standard_error": value.standard_error, "interval": interval}
