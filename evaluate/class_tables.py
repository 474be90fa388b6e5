"""Tables of a report on more than two classes: each class, and pairs of classes."""

from collections.abc import Iterable, Sequence

from evaluate.document import MetricsDocument
from evaluate.metrics import Estimate
from evaluate.parts import ClassTable
from evaluate.style import shorten
from evaluate.table_rows import Rows, class_places, level_heading
from evaluate.tables import MISSING, Column, Table, counts, intervals, measured, texts

LONGEST_CLASS = 24  # characters of the name of a class


def tabulate_classes(document: MetricsDocument) -> Iterable[Table]:
    """Return the metrics of each class on the test split."""
    rows = Rows(document)
    for label, name in enumerate(_names(document)):
        for index, run in enumerate(document.classifiers):
            if run.splits.test.by_class:
                rows.add(index, name, run.splits.test.by_class[label])
    if rows.items:
        yield Table(
            name="classes",
            label="Each class on the test split",
            columns=[
                rows.labels("class"),
                rows.runs,
                counts("samples", rows.get("samples")),
                measured("AUC", rows.get("auc"), class_places(document, "auc")),
                intervals(level_heading(document), rows.get("auc"), class_places(document, "auc")),
                measured("recall", rows.get("recall"), class_places(document, "recall")),
                measured("precision", rows.get("precision"), class_places(document, "precision")),
            ],
        )


def tabulate_pairs(document: MetricsDocument) -> Iterable[Table]:
    """Return the AUCs and the rejections of pairs of classes on the test split: two tables per classifier."""
    names = _names(document)
    for number, run in enumerate(document.classifiers, start=1):
        test = run.splits.test
        if not test.details or not test.by_class:
            continue
        yield Table(
            name=f"pairs-{number}",
            label=f"{run.name}, AUC of pairs",
            sortable=False,
            columns=[
                texts("class", names),
                *_tabulate(names, [(test.details.pairwise_auc, row, MISSING) for row in range(len(names))]),
            ],
        )
        kept = [(row, efficiency) for row in range(len(names)) for efficiency in test.details.rejection]
        cells = [
            (test.details.rejection[efficiency], row, "∞" if test.by_class[row].auc else MISSING)
            for row, efficiency in kept
        ]
        yield Table(
            name=f"rejections-{number}",
            label=f"{run.name}, rejection",
            sortable=False,
            columns=[
                texts("kept class", [names[row] for row, _ in kept]),
                texts("kept fraction", [f"{100 * float(efficiency):g} %" for _, efficiency in kept]),
                *_tabulate(names, cells),
            ],
        )


def _tabulate(names: Sequence[str], rows: Sequence[tuple[ClassTable, int, str]]) -> Iterable[Column]:
    """Return a column per class from rows of tables, with what stands for a missing value in each."""
    for column, name in enumerate(names):
        yield measured(name, [_cell(table, row, column, missing) for table, row, missing in rows])


def _cell(table: ClassTable, row: int, column: int, missing: str) -> Estimate | str | None:
    value, error = table.value[row][column], table.standard_error[row][column]
    if row == column:
        return None
    return missing if value is None or error is None else Estimate(value=value, standard_error=error)


def _names(document: MetricsDocument) -> list[str]:
    return [shorten(name, LONGEST_CLASS) for name in document.runs[0].classes or ()]
