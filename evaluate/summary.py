"""All numbers of a report as one JSON document, ``metrics.json``; its schema is ``metrics.schema.json``."""

import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np

from evaluate import gallery, ranking
from evaluate.measure import DIFFERENCE, Document, estimate, measure
from evaluate.metrics import CONFIDENCE, Estimate, same_weights
from evaluate.published import list_results
from evaluate.runs import Run
from evaluate.slices import slice_by
from evaluate.stores import SeenStore
from store.datasets import SPLITS

SCHEMA = "calostream-metrics/2"


def summarise(stores: Sequence[SeenStore], runs: Sequence[Run]) -> Document:
    """Return every metric of every run, the paired comparisons, and warnings about what cannot be compared.

    Parameters
    ----------
    stores
        Of the runs, as `evaluate.stores.find_stores` returns them.
    runs
        In the order of the report.

    Returns
    -------
    dict
        JSON-able: ``schema``, ``confidence`` (of all intervals), ``runs`` in the order given, ``comparisons`` on the
        test split, ``published`` results by the digest of the store, ``warnings``. Metrics are those of `measure`.
    """
    seen = {store.identity["digest"]: store for store in stores}
    documents = [_summarise_run(run, seen[run.store["digest"]]) for run in runs]
    warnings = [warning for run, document in zip(runs, documents, strict=True) for warning in _doubts(run, document)]
    groups = _comparable(runs)
    for first, second in itertools.combinations(groups, 2):
        names, others = (", ".join(run.name for run in members) for members in (second, first))
        warnings.append(f"{names} cannot be compared with {others}: {_obstacle(second[0], first[0])}")
    for store in stores:
        if store.note:
            warnings.append(f"{', '.join(run.name for run in store.runs)}: {store.note}")
    pairs = itertools.chain.from_iterable(itertools.combinations(group, 2) for group in groups)
    return {
        "schema": SCHEMA,
        "confidence": CONFIDENCE,
        "runs": documents,
        "comparisons": [_compare(*pair) for pair in pairs],
        "published": {
            digest: list_results(store.identity, whole=all(map(_is_whole, store.runs)))
            for digest, store in seen.items()
        },
        "warnings": warnings,
    }


def _summarise_run(run: Run, store: SeenStore) -> Document:
    background, signal = run.spec.classes
    validation, test = run.predictions["validation"], run.predictions["test"]
    threshold = ranking.roc(*validation.scored).best_threshold
    splits = {
        split: measure(*predictions.scored, best_threshold=threshold, curves=True)
        for split, predictions in run.predictions.items()
    }
    rows = test.sample - run.store["split_ranges"]["test"][0]
    return {
        "name": run.name,
        "path": str(run.path),
        "framework": run.framework,
        "model": run.model,
        "parameters": run.config["parameters"],
        "config": dict(run.config),
        "environment": {name: value for name, value in run.environment.items() if name != "store"},
        "store": dict(run.store),
        "signal": signal,
        "background": background,
        "history": {name: [_number(value) for value in values] for name, values in run.history.items()},
        "best_threshold": threshold,
        "splits": splits,
        "generalisation_gap": {name: _gap(splits, name) for name in ("auc", "accuracy", "log_loss")},
        "slices": [
            slice_by(variable.take(rows), *test.scored, best_threshold=threshold) for variable in store.variables
        ],
        "gallery": gallery.choose(test),
        "occlusion": _describe_occlusion(run),
    }


def _is_whole(run: Run) -> bool:
    """Tell whether a run was evaluated on the whole test split, every sample counting alike."""
    start, stop = run.store["split_ranges"]["test"]
    test = run.predictions["test"]
    return test.sample.size == stop - start and test.weight is None


def _describe_occlusion(run: Run) -> Document | None:
    """Return where the model looks, null if nobody asked or another model was looked at."""
    if run.occlusion is None or not run.occlusion.is_of(run.predictions["test"]):
        return None
    maps = [None if np.isnan(change).any() else change.tolist() for change in run.occlusion.change]
    return {"samples": run.occlusion.sample.size, "background": maps[0], "signal": maps[1]}


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _gap(splits: Mapping[str, Document], name: str) -> Document | None:
    """Return a metric on the training split minus that on the test split, which are independent."""
    train, test = (
        Estimate(value=splits[split][name]["value"], standard_error=splits[split][name]["standard_error"])
        for split in ("train", "test")
    )
    return estimate(train - test, (-math.inf, math.inf))


def _compare(first: Run, second: Run) -> Document:
    test = first.predictions["test"]
    comparison = ranking.compare_auc(test.label, test.score, second.predictions["test"].score, test.weight)
    return {
        "split": "test",
        "runs": [first.name, second.name],
        "difference": estimate(comparison.difference, DIFFERENCE),
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
    if not same_weights(tests[0].weight, tests[1].weight):
        return "their weights differ on the same test samples"
    return ""


def _doubts(run: Run, document: Document) -> list[str]:
    """Return what a reader must know about one run before believing its numbers."""
    doubts = []
    if run.occlusion is not None and not run.occlusion.is_of(run.predictions["test"]):
        doubts.append(
            f"{run.name}: its occlusion map is of another model; `evaluate occlude {run.path}` makes a new one"
        )
    for split in SPLITS:
        start, stop = run.store["split_ranges"][split]
        samples = run.predictions[split].sample.size
        if run.predictions[split].weight is not None:
            doubts.append(f"{run.name}: its {split} samples are weighted, as its predictions say")
        if samples < stop - start:
            doubts.append(f"{run.name}: predictions cover {samples} of the {stop - start} {split} samples")
        if document["splits"][split]["auc"]["standard_error"] == 0:
            doubts.append(
                f"{run.name}: the {split} AUC has no error, because all scores are equal or the classes do not overlap"
            )
    return doubts
