"""All numbers of a report as one JSON document, ``metrics.json``."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from evaluate import metrics, ranking
from evaluate.metrics import CONFIDENCE, Estimate
from evaluate.runs import Run
from store.predictions import Predictions
from store.schema import SPLITS

SCHEMA = "calostream-metrics/1"
SIGNAL_EFFICIENCIES = (0.5, 0.7, 0.9, 0.95)
SHARE = (0.0, 1.0)

Document = dict[str, Any]


def summarise(runs: Sequence[Run]) -> Document:
    """Return every metric of every run, the paired comparisons, and warnings about what cannot be compared.

    Returns
    -------
    dict
        JSON-able: ``schema``, ``confidence`` (of all intervals), ``runs`` in the order given, ``comparisons`` on the
        test split, ``warnings``. An estimate is an object of ``value``, ``standard_error`` and ``interval``. A
        background rejection is null where no background passes.
    """
    documents = [_summarise_run(run) for run in runs]
    warnings = [warning for run, document in zip(runs, documents, strict=True) for warning in _doubts(run, document)]
    groups = _comparable(runs)
    for group in groups[1:]:
        names, others = (", ".join(run.name for run in members) for members in (group, groups[0]))
        warnings.append(f"{names} cannot be compared with {others}: {_obstacle(group[0], groups[0][0])}")
    pairs = itertools.chain.from_iterable(itertools.combinations(group, 2) for group in groups)
    return {
        "schema": SCHEMA,
        "confidence": CONFIDENCE,
        "runs": documents,
        "comparisons": [_compare(*pair) for pair in pairs],
        "warnings": warnings,
    }


def _summarise_run(run: Run) -> Document:
    background, signal = run.description.classes
    aucs = {split: ranking.auc(run.predictions[split].label, run.predictions[split].score) for split in SPLITS}
    return {
        "name": run.name,
        "path": str(run.path),
        "framework": run.framework,
        "model": run.model,
        "parameters": run.config["parameters"],
        "store": dict(run.store),
        "signal": signal,
        "background": background,
        "splits": {split: _summarise_split(run.predictions[split], aucs[split]) for split in SPLITS},
        "generalisation_gap": _estimate(aucs["train"] - aucs["test"], (-1.0, 1.0)),
    }


def _summarise_split(predictions: Predictions, auc: Estimate) -> Document:
    columns = predictions.label, predictions.score
    rejections = ranking.background_rejection(ranking.roc(*columns), SIGNAL_EFFICIENCIES)
    signal = int(predictions.label.sum())
    return {
        "samples": predictions.label.size,
        "signal_samples": signal,
        "background_samples": predictions.label.size - signal,
        "auc": _estimate(auc, SHARE),
        "accuracy": _estimate(metrics.accuracy(*columns), SHARE),
        "log_loss": _estimate(metrics.log_loss(*columns), (0.0, math.inf)),
        "brier_score": _estimate(metrics.brier_score(*columns), SHARE),
        "expected_calibration_error": metrics.calibration(*columns).expected_error,
        "background_rejection": {
            str(efficiency): rejection if math.isfinite(rejection) else None
            for efficiency, rejection in zip(SIGNAL_EFFICIENCIES, rejections, strict=True)
        },
    }


def _estimate(estimate: Estimate, bounds: tuple[float, float]) -> Document:
    interval = list(estimate.interval(bounds))
    return {"value": estimate.value, "standard_error": estimate.standard_error, "interval": interval}


def _compare(first: Run, second: Run) -> Document:
    test = first.predictions["test"]
    comparison = ranking.compare_auc(test.label, test.score, second.predictions["test"].score)
    return {
        "split": "test",
        "runs": [first.name, second.name],
        "difference": _estimate(comparison.difference, (-1.0, 1.0)),
        "p_value": comparison.p_value,
    }


def _comparable(runs: Sequence[Run]) -> list[list[Run]]:
    """Return the runs in groups that were evaluated on the same test samples of the same store."""
    groups: list[list[Run]] = []
    for run in runs:
        fitting = next((group for group in groups if not _obstacle(group[0], run)), None)
        if fitting is None:
            groups.append([run])
        else:
            fitting.append(run)
    return groups


def _obstacle(first: Run, second: Run) -> str:
    """Return why the test predictions of two runs are not pairs, or nothing."""
    digests = [str(run.store["digest"]) for run in (first, second)]
    if digests[0] != digests[1]:
        return f"their stores differ (digests {digests[0][:12]} and {digests[1][:12]})"
    tests = [run.predictions["test"] for run in (first, second)]
    if not np.array_equal(tests[0].sample, tests[1].sample):
        return f"their test samples differ ({tests[0].sample.size} and {tests[1].sample.size} of them)"
    if not np.array_equal(tests[0].label, tests[1].label):
        return "their labels differ on the same test samples"
    return ""


def _doubts(run: Run, document: Document) -> list[str]:
    """Return what a reader must know about one run before believing its numbers."""
    doubts = []
    for split in SPLITS:
        start, stop = run.store["split_ranges"][split]
        samples = run.predictions[split].sample.size
        if samples < stop - start:
            doubts.append(f"{run.name}: predictions cover {samples} of the {stop - start} {split} samples")
        if document["splits"][split]["auc"]["standard_error"] == 0:
            doubts.append(
                f"{run.name}: the {split} AUC has no error, because all scores are equal or the classes do not overlap"
            )
    return doubts
