"""All numbers of a report, ``metrics.json``: metrics of every run, paired comparisons and warnings."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from msgspec import UNSET

from evaluate import gallery, ranking
from evaluate.class_measure import measure_details
from evaluate.comparisons import comparable, compare, join_runs, warn_about_groups
from evaluate.document import MetricsDocument, name_classes
from evaluate.ensemble import Ensemble
from evaluate.intervals import UNBOUNDED, with_interval
from evaluate.measure import measure_confusion, measure_curves
from evaluate.metrics import CONFIDENCE, Estimate
from evaluate.parts import Measurement
from evaluate.published import list_results
from evaluate.results import EnsembleResults, GeneralisationGap, OcclusionMaps, RunResults, SplitMetrics, SplitResults
from evaluate.runs import Classifier, Run, join_names
from evaluate.seeds import find_seeds, summarise_seeds
from evaluate.slices import measure_scores, slice_by
from evaluate.stores import ReportStore
from store.datasets import SPLITS
from store.predictions import Predictions


def summarise(
    stores: Sequence[ReportStore],
    runs: Sequence[Run],
    ensembles: Sequence[Ensemble] = (),
    warnings: Sequence[str] = (),
) -> MetricsDocument:
    """Return every metric of every run, comparisons, the spread over seeds, and warnings.

    Parameters
    ----------
    stores
        The stores of the runs, as `evaluate.stores.find_stores` returns them.
    runs
        In the order of the report. All have two classes, or all have the same ones.
    ensembles, warnings
        What `evaluate.ensemble.find_ensembles` returns, to have the means in the document too.
    """
    by_digest = {store.identity.digest: store for store in stores}
    results = [_summarise_run(run, by_digest[run.store.digest]) for run in runs]
    groups = comparable(runs)
    seeds, repetitions = find_seeds(groups)
    pairs: list[tuple[Classifier, Classifier]] = [
        *itertools.chain.from_iterable(itertools.combinations(members, 2) for members in groups),
        *((mean, run) for mean in ensembles for members in groups if mean.runs[0] in members for run in members),
    ]
    return MetricsDocument(
        confidence=CONFIDENCE,
        runs=results,
        ensembles=[_summarise_ensemble(mean, by_digest[mean.store.digest]) for mean in ensembles],
        seeds=summarise_seeds(seeds, {of_run.name: of_run for of_run in results}),
        comparisons=[compare(*pair) for pair in pairs],
        published={
            digest: list_results(store.identity, whole=all(map(_used_whole_test_split, store.runs)))
            for digest, store in by_digest.items()
        },
        notes=[*_note_fewer_images(runs), *_note_weights(runs)],
        warnings=[
            *itertools.chain.from_iterable(map(_warn_about_run, runs, results)),
            *warn_about_groups(groups),
            *repetitions,
            *warnings,
            *(f"{join_runs(store.runs)}: {store.note}" for store in stores if store.note),
        ],
        files=[],
    )


def _summarise_run(run: Run, store: ReportStore) -> RunResults:
    return RunResults(
        **_measure(run, store),
        path=str(run.path),
        framework=run.framework,
        model=run.model,
        parameters=run.config["parameters"],
        config=dict(run.config),
        environment=dict(run.environment),
        store=run.store,
        history={
            name: [float(value) if math.isfinite(value) else None for value in values]
            for name, values in run.history.items()
        },
        gallery=gallery.choose_samples(run.predictions["test"]),
        occlusion=_describe_occlusion(run),
    )


def _summarise_ensemble(ensemble: Ensemble, store: ReportStore) -> EnsembleResults:
    return EnsembleResults(
        **_measure(ensemble, store),
        runs=[run.name for run in ensemble.runs],
        framework=", ".join(dict.fromkeys(run.framework for run in ensemble.runs)),
        model=", ".join(dict.fromkeys(run.model for run in ensemble.runs)),
        parameters=sum(run.config["parameters"] for run in ensemble.runs),
    )


def _measure(classifier: Classifier, store: ReportStore) -> dict[str, Any]:
    """Return what runs and ensembles have in common, by its keys in the document."""
    test = classifier.predictions["test"]
    threshold = None
    if test.class_count == 2:
        threshold = ranking.roc(*classifier.predictions["validation"].scored).best_threshold
    splits = SplitResults(**{split: _measure_split(classifier.predictions[split], threshold) for split in SPLITS})
    rows = test.sample - classifier.store.split_ranges["test"][0]
    return {
        "name": classifier.name,
        **name_classes(classifier.spec.classes),
        "best_threshold": UNSET if threshold is None else threshold,
        "splits": splits,
        "generalisation_gap": _measure_gap(splits.train, splits.test),
        "validation_gap": _measure_gap(splits.validation, splits.test),
        "slices": [
            slice_by(observable.take(rows), *test.scored, best_threshold=threshold) for observable in store.observables
        ],
    }


def _measure_split(predictions: Predictions, threshold: float | None) -> SplitMetrics:
    measured = measure_scores(*predictions.scored, best_threshold=threshold)
    if threshold is not None:
        confusion = measure_confusion(*predictions.scored, threshold=threshold)
        return SplitMetrics(**measured, curves=measure_curves(*predictions.scored), confusion=confusion)
    return SplitMetrics(**measured, details=measure_details(*predictions.scored))


def _measure_gap(split: SplitMetrics, test: SplitMetrics) -> GeneralisationGap:
    return GeneralisationGap(
        auc=split.auc and test.auc and _subtract(split.auc, test.auc),
        accuracy=_subtract(split.accuracy, test.accuracy),
        log_loss=_subtract(split.log_loss, test.log_loss),
    )


def _subtract(split: Measurement, test: Measurement) -> Measurement:
    """Return the difference of a metric on two splits, which are independent."""
    estimates = [Estimate(value=part.value, standard_error=part.standard_error) for part in (split, test)]
    return with_interval(estimates[0] - estimates[1], UNBOUNDED)


def _describe_occlusion(run: Run) -> OcclusionMaps | None:
    """Return the occlusion maps of a run; None without one or if it belongs to another model."""
    if run.occlusion is None or not run.occlusion.belongs_to(run.predictions["test"]):
        return None
    maps = [None if np.isnan(change).any() else change.tolist() for change in run.occlusion.change]
    samples = run.occlusion.sample.size
    if len(maps) > 2:
        return OcclusionMaps(samples=samples, by_class=maps)
    return OcclusionMaps(samples=samples, background=maps[0], signal=maps[1])


def _trained_on_fewer(run: Run) -> bool:
    """Return whether a run has predictions for fewer training images because it was told to use so many."""
    return run.predictions["train"].sample.size == run.config.get("train_samples")


def _note_fewer_images(runs: Sequence[Run]) -> list[str]:
    """Return one note about the runs that were told to use fewer training images than their stores have."""
    names: dict[str, list[str]] = {}
    for run in runs:
        start, stop = run.store.split_ranges["train"]
        if _trained_on_fewer(run) and run.config["train_samples"] < stop - start:
            names.setdefault(f"{run.config['train_samples']:,} of {stop - start:,}", []).append(run.name)
    parts = "; ".join(f"{join_names(of_runs)}: {images}" for images, of_runs in names.items())
    return [f"Trained on fewer images than the store has (--train-samples): {parts}."] if parts else []


def _weighted_splits(run: Run) -> list[str]:
    """Return the splits whose samples have weights."""
    return [split for split in SPLITS if run.predictions[split].weight is not None]


def _note_weights(runs: Sequence[Run]) -> list[str]:
    """Return one note about the runs whose samples all have weights."""
    names = [run.name for run in runs if len(_weighted_splits(run)) == len(SPLITS)]
    return [f"All samples are weighted, with the weights in the predictions: {join_names(names)}."] if names else []


def _used_whole_test_split(run: Run) -> bool:
    """Return whether a run was evaluated on the whole test split without weights."""
    start, stop = run.store.split_ranges["test"]
    test = run.predictions["test"]
    return test.sample.size == stop - start and test.weight is None


def _warn_about_run(run: Run, results: RunResults) -> list[str]:
    """Return warnings that a reader needs before trusting the numbers of a run."""
    warnings = []
    if run.occlusion is not None and results.occlusion is None:
        warnings.append(
            f"{run.name}: its occlusion map belongs to another model; `evaluate occlude {run.path}` makes a new one"
        )
    weighted = _weighted_splits(run)
    for split, measured in results.splits.items():
        start, stop = run.store.split_ranges[split]
        if split in weighted and len(weighted) < len(SPLITS):
            warnings.append(f"{run.name}: the {split} samples are weighted, with weights from its predictions")
        samples = run.predictions[split].sample.size
        if samples < stop - start and not (split == "train" and _trained_on_fewer(run)):
            warnings.append(f"{run.name}: predictions cover {samples} of the {stop - start} {split} samples")
        if measured.auc is None:
            few = [part.samples < 2 for part in measured.by_class or []]
            rare = join_names([*itertools.compress(run.spec.classes, few)])
            warnings.append(f"{run.name}: the {split} AUC cannot be computed: fewer than two samples of {rare}")
        elif measured.auc.standard_error == 0:
            warnings.append(
                f"{run.name}: the {split} AUC has no standard error, because all scores are equal or the classes do "
                "not overlap"
            )
    return warnings
