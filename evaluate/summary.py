"""All numbers of a report, ``metrics.json``: metrics of every run, paired comparisons and warnings."""

import itertools
import math
from collections.abc import Iterable, Sequence

import numpy as np
from msgspec import UNSET, UnsetType

from evaluate import class_metrics, class_ranking, gallery, ranking
from evaluate.class_measure import measure_details
from evaluate.document import (
    GeneralisationGap,
    MetricsDocument,
    OcclusionMaps,
    RunComparison,
    RunResults,
    SplitMetrics,
    SplitResults,
    name_classes,
)
from evaluate.intervals import DIFFERENCE, UNBOUNDED, with_interval
from evaluate.measure import measure_curves
from evaluate.metrics import CONFIDENCE, Estimate, same_weights
from evaluate.parts import Measurement
from evaluate.published import list_results
from evaluate.ranking import PairedTest
from evaluate.runs import Run, join_names
from evaluate.slices import measure_scores, slice_by
from evaluate.stores import ReportStore
from store.datasets import SPLITS
from store.predictions import Predictions


def summarise(stores: Sequence[ReportStore], runs: Sequence[Run]) -> MetricsDocument:
    """Return every metric of every run, the paired comparisons, and warnings about what cannot be compared.

    Parameters
    ----------
    stores
        The stores of the runs, as `evaluate.stores.find_stores` returns them.
    runs
        In the order of the report. All have two classes, or all have the same ones.
    """
    by_digest = {store.identity.digest: store for store in stores}
    results = [_summarise_run(run, by_digest[run.store.digest]) for run in runs]
    groups = _comparable(runs)
    pairs = itertools.chain.from_iterable(itertools.combinations(members, 2) for members in groups)
    return MetricsDocument(
        confidence=CONFIDENCE,
        runs=results,
        comparisons=[_compare(*pair) for pair in pairs],
        published={
            digest: list_results(store.identity, whole=all(map(_used_whole_test_split, store.runs)))
            for digest, store in by_digest.items()
        },
        warnings=[
            *itertools.chain.from_iterable(map(_warn_about_run, runs, results)),
            *_warn_about_groups(groups),
            *(f"{_names(store.runs)}: {store.note}" for store in stores if store.note),
        ],
        files=[],
    )


def _summarise_run(run: Run, store: ReportStore) -> RunResults:
    test = run.predictions["test"]
    threshold = None
    if test.class_count == 2:
        threshold = ranking.roc(*run.predictions["validation"].scored).best_threshold
    splits = SplitResults(**{split: _measure_split(run.predictions[split], threshold) for split in SPLITS})
    rows = test.sample - run.store.split_ranges["test"][0]
    return RunResults(
        name=run.name,
        path=str(run.path),
        framework=run.framework,
        model=run.model,
        parameters=run.config["parameters"],
        config=dict(run.config),
        environment=dict(run.environment),
        store=run.store,
        **name_classes(run.spec.classes),
        history={
            name: [float(value) if math.isfinite(value) else None for value in values]
            for name, values in run.history.items()
        },
        best_threshold=UNSET if threshold is None else threshold,
        splits=splits,
        generalisation_gap=GeneralisationGap(
            auc=splits.train.auc and splits.test.auc and _subtract(splits.train.auc, splits.test.auc),
            accuracy=_subtract(splits.train.accuracy, splits.test.accuracy),
            log_loss=_subtract(splits.train.log_loss, splits.test.log_loss),
        ),
        slices=[
            slice_by(observable.take(rows), *test.scored, best_threshold=threshold) for observable in store.observables
        ],
        gallery=gallery.choose_samples(test),
        occlusion=_describe_occlusion(run),
    )


def _measure_split(predictions: Predictions, threshold: float | None) -> SplitMetrics:
    measured = measure_scores(*predictions.scored, best_threshold=threshold)
    if predictions.class_count == 2:
        return SplitMetrics(**measured, curves=measure_curves(*predictions.scored))
    return SplitMetrics(**measured, details=measure_details(*predictions.scored))


def _subtract(train: Measurement, test: Measurement) -> Measurement:
    """Return the difference of a metric on two splits, which are independent."""
    estimates = [Estimate(value=part.value, standard_error=part.standard_error) for part in (train, test)]
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


def _used_whole_test_split(run: Run) -> bool:
    """Return whether a run was evaluated on the whole test split without weights."""
    start, stop = run.store.split_ranges["test"]
    test = run.predictions["test"]
    return test.sample.size == stop - start and test.weight is None


def _compare(first: Run, second: Run) -> RunComparison:
    test, other = first.predictions["test"], second.predictions["test"]
    accuracy: Measurement | UnsetType = UNSET
    comparison: PairedTest | None
    if test.class_count == 2:
        comparison = ranking.compare_auc(test.label, test.score, other.score, test.weight)
    else:
        pair = class_metrics.checked(*test.scored), class_metrics.checked(*other.scored)
        comparison = class_ranking.compare_macro_auc(*map(class_ranking.macro_auc, pair))
        accuracy = with_interval(class_metrics.compare_accuracy(*pair), DIFFERENCE)
    return RunComparison(
        split="test",
        runs=(first.name, second.name),
        difference=with_interval(comparison.difference, DIFFERENCE) if comparison else None,
        p_value=comparison.p_value if comparison else None,
        accuracy=accuracy,
    )


def _comparable(runs: Sequence[Run]) -> list[list[Run]]:
    """Return the runs in groups that were evaluated on the same test samples of the same store."""
    groups: list[list[Run]] = []
    for run in runs:
        group = next((members for members in groups if not _obstacle(members[0], run)), None)
        if group is None:
            groups.append([run])
        else:
            group.append(run)
    return groups


def _obstacle(first: Run, second: Run) -> str:
    """Return why the test predictions of two runs cannot be paired, or an empty string."""
    digests = [run.store.digest for run in (first, second)]
    if digests[0] != digests[1]:
        return f"their stores differ (digests {digests[0][:12]} and {digests[1][:12]})"
    tests = [run.predictions["test"] for run in (first, second)]
    if not np.array_equal(tests[0].sample, tests[1].sample):
        return f"their test samples differ ({tests[0].sample.size} and {tests[1].sample.size} samples)"
    if not np.array_equal(tests[0].label, tests[1].label):
        return "their labels of the same test samples differ"
    if not same_weights(tests[0].weight, tests[1].weight):
        return "their weights of the same test samples differ"
    return ""


def _warn_about_groups(groups: Sequence[Sequence[Run]]) -> list[str]:
    return [
        f"{_names(second)} cannot be compared with {_names(first)}: {_obstacle(second[0], first[0])}"
        for first, second in itertools.combinations(groups, 2)
    ]


def _warn_about_run(run: Run, results: RunResults) -> list[str]:
    """Return warnings that a reader needs before trusting the numbers of a run."""
    warnings = []
    if run.occlusion is not None and results.occlusion is None:
        warnings.append(
            f"{run.name}: its occlusion map belongs to another model; `evaluate occlude {run.path}` makes a new one"
        )
    weighted = [split for split in SPLITS if run.predictions[split].weight is not None]
    if len(weighted) == len(SPLITS):
        warnings.append(f"{run.name}: all samples are weighted, with weights from its predictions")
    for split, measured in results.splits.items():
        start, stop = run.store.split_ranges[split]
        if split in weighted and len(weighted) < len(SPLITS):
            warnings.append(f"{run.name}: the {split} samples are weighted, with weights from its predictions")
        samples = run.predictions[split].sample.size
        if samples < stop - start:
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


def _names(runs: Iterable[Run]) -> str:
    return ", ".join(run.name for run in runs)
