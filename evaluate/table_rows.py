"""Rows about classifiers, for tables of a report, and headings that several tables share."""

from collections.abc import Sequence
from typing import Any

from msgspec import UNSET

from evaluate.document import MetricsDocument
from evaluate.tables import Column, common_decimals, texts


class Rows:
    """Rows of a table, each about one classifier of a document.

    Attributes
    ----------
    items
        What the rows are about, one per row.
    """

    def __init__(self, document: MetricsDocument) -> None:
        self.items: list[Any] = []
        self._names = [classifier.name for classifier in document.classifiers]
        self._owners: list[int] = []
        self._labels: list[str] = []

    def add(self, owner: int, label: str, item: object) -> None:
        """Append a row about the classifier with that index."""
        self._owners.append(owner)
        self._labels.append(label)
        self.items.append(item)

    @property
    def runs(self) -> Column:
        """The names of the classifiers."""
        return texts("run", [self._names[owner] for owner in self._owners], self._owners)

    def labels(self, heading: str) -> Column:
        """Return the labels of the rows."""
        return texts(heading, self._labels)

    def get(self, name: str) -> list[Any]:
        """Return an attribute of the item of each row; None where it is absent."""
        return [known(getattr(item, name)) for item in self.items]


def known(value: Any) -> Any:
    """Return a value of a document; None if there is none for this number of classes."""
    return None if value is UNSET else value


def metric_places(document: MetricsDocument, name: str) -> int:
    """Return the decimals of a metric on all splits: those that the test split of the runs needs."""
    return common_decimals(known(getattr(run.splits.test, name)) for run in document.runs)


def rejection_places(document: MetricsDocument, efficiency: str) -> int:
    """Return the decimals of the background rejection at an efficiency, as `metric_places`."""
    return common_decimals((run.splits.test.background_rejection or {}).get(efficiency) for run in document.runs)


def gap_places(document: MetricsDocument, name: str) -> int:
    """Return the decimals of the differences of a metric between splits."""
    gaps = (gap for run in document.classifiers for gap in (run.generalisation_gap, run.validation_gap))
    return common_decimals(known(getattr(gap, name, None)) for gap in gaps)


def class_places(document: MetricsDocument, name: str) -> int:
    """Return the decimals of a metric of single classes on the test split."""
    return common_decimals(
        getattr(part, name) for run in document.classifiers for part in run.splits.test.by_class or ()
    )


def name_auc(document: MetricsDocument) -> str:
    """Return what the AUC of a document is."""
    return "mean AUC" if document.runs[0].classes else "AUC"


def level_heading(document: MetricsDocument) -> str:
    """Return the heading of a column of confidence intervals."""
    return f"{100 * document.confidence:g} % interval"


def some(values: Sequence[object]) -> bool:
    """Return whether a column has any value."""
    return any(value is not None for value in values)
