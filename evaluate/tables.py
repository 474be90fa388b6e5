"""Tables of a report, which become HTML in the page, CSV and LaTeX."""

import csv
import io
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from evaluate.formatting import EXACT, decimals, edge, interval, p_value, with_error
from evaluate.parts import Measurement
from store.errors import printable

MISSING = "–"  # noqa: RUF001
LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "<": r"$<$",
    ">": r"$>$",
    "∞": r"$\infty$",
    "−": r"$-$",  # noqa: RUF001
    "–": "--",  # noqa: RUF001
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


class Value(Protocol):
    """A number with its standard error."""

    @property
    def value(self) -> float:
        """The number."""

    @property
    def standard_error(self) -> float:
        """Its standard error."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A cell of a table.

    Attributes
    ----------
    text
        What readers see.
    key
        What rows are sorted by; None for the text.
    fields
        The texts in a CSV file, one for each of the column's fields.
    colour
        Index of the run whose colour is shown beside the text.
    """

    text: str
    key: float | None = None
    fields: tuple[str, ...]
    colour: int | None = None

    @property
    def sort_key(self) -> str:
        """The key as a script reads it."""
        return "Infinity" if self.key == math.inf else repr(self.key)


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a table.

    Attributes
    ----------
    heading
        Heading of the column.
    fields
        Headings in a CSV file; a number and its error are two fields.
    cells
        One per row.
    numeric
        Whether it is aligned at the right.
    """

    heading: str
    fields: tuple[str, ...]
    cells: Sequence[Cell]
    numeric: bool = True


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of a report.

    Attributes
    ----------
    name
        Stem of its files, unique in the report.
    label
        What it shows.
    columns
        All of the same length; the first one heads the rows.
    sortable
        Whether readers may sort its rows.
    """

    name: str
    label: str
    columns: Sequence[Column]
    sortable: bool = True

    @property
    def rows(self) -> list[tuple[Cell, ...]]:
        """The cells by row."""
        return list(zip(*(column.cells for column in self.columns), strict=True))

    def to_csv(self) -> str:
        """Return the table as CSV, with errors in columns of their own and all digits."""
        output = io.StringIO()
        writer = csv.writer(output, lineterminator="\n")
        writer.writerow(_plain(heading) for column in self.columns for heading in column.fields)
        writer.writerows([_plain(text) for cell in row for text in cell.fields] for row in self.rows)
        return output.getvalue()

    def to_latex(self) -> str:
        """Return the table as LaTeX; it needs the package booktabs."""
        kinds = "".join("r" if column.numeric else "l" for column in self.columns)
        head, *body = (
            " & ".join(_latex(text) for text in texts) + r" \\"
            for texts in ([c.heading for c in self.columns], *([cell.text for cell in row] for row in self.rows))
        )
        lines = [f"% {_plain(self.label)}", rf"\begin{{tabular}}{{{kinds}}}", r"\toprule", head, r"\midrule", *body]
        return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _plain(text: str) -> str:
    """Return a text on one line; a text that a spreadsheet would take for a formula is quoted."""
    line = printable(" ".join(text.split()))
    return f"'{line}" if re.match(r"[=+@]|-(?![\d.])", line) else line


def _latex(text: str) -> str:
    line = "".join(LATEX.get(character, character) for character in printable(" ".join(text.split())))
    return re.sub(r"(?<![^ ])-(?=\d)", "$-$", line)


# Columns


def texts(heading: str, values: Iterable[str], colours: Sequence[int | None] | None = None) -> Column:
    """Return a column of texts, with the colours of runs beside them if they are given."""
    values = list(values)
    marks = [None] * len(values) if colours is None else colours
    cells = [
        Cell(text=value or MISSING, fields=(value,), colour=mark) for value, mark in zip(values, marks, strict=True)
    ]
    return Column(heading=heading, fields=(heading,), cells=cells, numeric=False)


def counts(heading: str, values: Iterable[int]) -> Column:
    """Return a column of whole numbers."""
    cells = [Cell(text=f"{value:,}", key=value, fields=(str(value),)) for value in values]
    return Column(heading=heading, fields=(heading,), cells=cells)


def edges(heading: str, values: Iterable[float]) -> Column:
    """Return a column of edges of bins."""
    return Column(heading=heading, fields=(heading,), cells=[_number(value, edge(value)) for value in values])


def numbers(heading: str, values: Iterable[float | None], places: int = EXACT) -> Column:
    """Return a column of numbers without errors."""
    cells = [_absent(MISSING) if value is None else _number(value, f"{value:.{places}f}") for value in values]
    return Column(heading=heading, fields=(heading,), cells=cells)


def p_values(values: Iterable[float | None]) -> Column:
    """Return a column of p values."""
    cells = [_absent(MISSING) if value is None else _number(value, p_value(value)) for value in values]
    return Column(heading="p value", fields=("p value",), cells=cells)


def measured(heading: str, values: Iterable[Value | str | None], places: int | None = None) -> Column:
    """Return a column of numbers with their errors; a text takes the place of a number.

    All have the same decimals, by default those of `common_decimals`.
    """
    values = list(values)
    places = common_decimals(values) if places is None else places
    cells = [
        _absent(value or MISSING, 2)
        if value is None or isinstance(value, str)
        else Cell(
            text=with_error(value.value, value.standard_error, places),
            key=value.value,
            fields=(repr(float(value.value)), repr(float(value.standard_error))),
        )
        for value in values
    ]
    return Column(heading=heading, fields=(heading, f"{heading}, error"), cells=cells)


def intervals(heading: str, values: Iterable[Measurement | None], places: int | None = None) -> Column:
    """Return a column of confidence intervals, with the decimals of `measured`."""
    values = list(values)
    places = common_decimals(values) if places is None else places
    cells = [
        _absent(MISSING, 2)
        if value is None
        else Cell(
            text=interval(value, places),
            key=value.interval[0],
            fields=(repr(float(value.interval[0])), repr(float(value.interval[1]))),
        )
        for value in values
    ]
    return Column(heading=heading, fields=(f"{heading}, low", f"{heading}, high"), cells=cells)


def common_decimals(values: Iterable[Value | str | None]) -> int:
    """Return the decimals for numbers of one column."""
    return decimals(value.standard_error for value in values if not (value is None or isinstance(value, str)))


def _number(value: float, text: str) -> Cell:
    return Cell(text=text, key=float(value), fields=(repr(float(value)),))


def _absent(text: str, fields: int = 1) -> Cell:
    return Cell(text=text, key=math.inf, fields=("",) * fields)
