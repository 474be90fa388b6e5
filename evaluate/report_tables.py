"""The tables of a report, by the section that shows them."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec import UNSET

from evaluate.class_tables import tabulate_classes, tabulate_pairs
from evaluate.comparison_tables import tabulate_comparisons, tabulate_rankings, tabulate_seeds
from evaluate.document import MetricsDocument
from evaluate.measure import SIGNAL_EFFICIENCIES
from evaluate.parts import Measurement, Metrics
from evaluate.results import EnsembleResults, Slice
from evaluate.style import as_identifier
from evaluate.table_rows import Rows, gap_places, level_heading, metric_places, name_auc, rejection_places, some
from evaluate.tables import Column, Table, counts, edges, intervals, measured, numbers

REJECTED = {str(efficiency): f"rejection at {100 * efficiency:g} %" for efficiency in SIGNAL_EFFICIENCIES}
METRICS = {
    "accuracy": "accuracy",
    "accuracy_at_best_threshold": "accuracy at best threshold",
    "top_2_accuracy": "top-2 accuracy",
    "precision": "precision",
    "recall": "recall",
    "log_loss": "log loss",
    "brier_score": "Brier score",
}
Sections = Mapping[str, Sequence[Table]]


def make_tables(document: MetricsDocument) -> Sections:
    """Return the tables of each section; sections without tables are left out."""
    makers: dict[str, Callable[[MetricsDocument], Iterable[Table]]] = {
        "ranking": tabulate_rankings,
        "splits": _tabulate_splits,
        "gaps": _tabulate_gaps,
        "rejection": _tabulate_rejections,
        "confusion": _tabulate_confusion,
        "classes": tabulate_classes,
        "pairs": tabulate_pairs,
        "slices": _tabulate_slices,
        "seeds": tabulate_seeds,
        "comparison": tabulate_comparisons,
    }
    sections = {section: list(make(document)) for section, make in makers.items()}
    return {section: tables for section, tables in sections.items() if tables}


def _by_split(document: MetricsDocument) -> Rows:
    rows = Rows(document)
    for index, run in enumerate(document.classifiers):
        for split, metrics in run.splits.items():
            rows.add(index, split, metrics)
    return rows


def _tabulate_splits(document: MetricsDocument) -> Iterable[Table]:
    rows = _by_split(document)
    shown = ["accuracy", *(["top_2_accuracy"] if document.runs[0].classes else ["accuracy_at_best_threshold"])]
    yield Table(
        name="splits",
        label="Metrics on every split",
        columns=[
            rows.runs,
            rows.labels("split"),
            counts("samples", rows.get("samples")),
            measured(name_auc(document), rows.get("auc"), metric_places(document, "auc")),
            intervals(level_heading(document), rows.get("auc"), metric_places(document, "auc")),
            *(
                measured(METRICS[name], rows.get(name), metric_places(document, name))
                for name in (*shown, "log_loss", "brier_score")
            ),
            numbers("calibration error", rows.get("expected_calibration_error")),
        ],
    )


def _tabulate_gaps(document: MetricsDocument) -> Iterable[Table]:
    rows = Rows(document)
    for index, run in enumerate(document.classifiers):
        for split, gap in (("train", run.generalisation_gap), ("validation", run.validation_gap)):
            rows.add(index, f"{split} − test", gap)  # noqa: RUF001
    yield Table(
        name="gaps",
        label="Differences from the test split",
        sortable=False,
        columns=[
            rows.runs,
            rows.labels("splits"),
            measured(name_auc(document), rows.get("auc"), gap_places(document, "auc")),
            intervals(level_heading(document), rows.get("auc"), gap_places(document, "auc")),
            measured("accuracy", rows.get("accuracy"), gap_places(document, "accuracy")),
            measured("log loss", rows.get("log_loss"), gap_places(document, "log_loss")),
        ],
    )


def _tabulate_rejections(document: MetricsDocument) -> Iterable[Table]:
    if document.runs[0].classes:
        return
    rows = _by_split(document)
    yield Table(
        name="rejection",
        label="Background rejection on every split",
        columns=[
            rows.runs,
            rows.labels("split"),
            *_rejections(rows.items, {efficiency: rejection_places(document, efficiency) for efficiency in REJECTED}),
            *(measured(name, rows.get(name), metric_places(document, name)) for name in ("precision", "recall")),
            numbers("average precision", rows.get("average_precision")),
        ],
    )


def _rejections(items: Sequence[Metrics], places: Mapping[str, int] | None = None) -> Iterable[Column]:
    """Return the columns of background rejections, with decimals by efficiency; by default those that all rows need."""
    for efficiency, heading in REJECTED.items():
        values = [(item.background_rejection or {}).get(efficiency) for item in items]
        cells = [value or ("∞" if item.auc else None) for item, value in zip(items, values, strict=True)]
        yield measured(heading, cells, places[efficiency] if places else None)


def _tabulate_confusion(document: MetricsDocument) -> Iterable[Table]:
    """Return the test samples of two classes by true class and class at the best threshold."""
    rows, thresholds = Rows(document), list[float]()
    samples, shares = list[list[int]](), list[list[Measurement]]()
    names = [str(document.runs[0].background), str(document.runs[0].signal)]
    for index, run in enumerate(document.classifiers):
        if run.splits.test.confusion is UNSET or run.best_threshold is UNSET:
            return
        confusion = run.splits.test.confusion
        for label, name in enumerate((str(run.background), str(run.signal))):
            rows.add(index, name, None)
            thresholds.append(run.best_threshold)
            samples.append(confusion.samples[label])
            shares.append(confusion.share[label])
            if name not in names:
                names = ["background", "signal"]
    columns = [rows.runs, rows.labels("true class"), numbers("threshold", thresholds)]
    for label, name in enumerate(names):
        columns += [
            counts(f"taken for {name}", [of_class[label] for of_class in samples]),
            measured(f"fraction taken for {name}", [of_class[label] for of_class in shares]),
        ]
    yield Table(
        name="confusion",
        label="Confusion matrix of the test split at the best threshold",
        sortable=False,
        columns=columns,
    )


def _tabulate_slices(document: MetricsDocument) -> Iterable[Table]:
    """Return one table per store and observable."""
    stores: dict[str, list[int]] = {}
    runs = {run.name: run for run in document.runs}
    for index, run in enumerate(document.classifiers):
        member = runs[run.runs[0]] if isinstance(run, EnsembleResults) else run
        stores.setdefault(member.store.digest, []).append(index)
    for number, indices in enumerate(stores.values(), start=1):
        slices = [[(index, part) for part in document.classifiers[index].slices] for index in indices]
        for same in zip(*slices, strict=True):
            yield _tabulate_slice(document, same, number)


def _tabulate_slice(document: MetricsDocument, slices: Sequence[tuple[int, Slice]], store_number: int) -> Table:
    rows, first = Rows(document), slices[0][1]
    for index, part in slices:
        for slice_bin in part.bins:
            rows.add(index, "", slice_bin)
    names = [name for name in METRICS if some(rows.get(name))]
    unit = "" if first.units == "1" else f" ({first.units})"
    return Table(
        name=f"store-{store_number}-by-{as_identifier(first.variable)}",
        label=f"By {first.long_name}{unit}",
        columns=[
            rows.runs,
            edges("from", rows.get("low")),
            edges("to", rows.get("high")),
            edges("mean", rows.get("mean")),
            counts("samples", rows.get("samples")),
            measured(name_auc(document), rows.get("auc")),
            *(measured(METRICS[name], rows.get(name)) for name in names),
            numbers("calibration error", rows.get("expected_calibration_error")),
            *([] if document.runs[0].classes else _rejections(rows.items)),
        ],
    )
