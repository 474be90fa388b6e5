"""Columns of numbers in a Parquet file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from store.errors import SourceError, printable
from store.sources.parquet_storage import Footer, check_pages, check_promises, name_errors, open_file


def check_name(path: Path, footer: Footer, name: str) -> None:
    """Raise SourceError unless exactly one column has a name."""
    names = footer.schema.names
    if name not in names:
        raise SourceError(f"{path}: no column {name!r}; the file has {', '.join(map(repr, names)) or 'nothing'}")
    if names.count(name) > 1:
        raise SourceError(f"{path}: {names.count(name)} columns are called {name!r}; rename or remove all but one")


def check_column(path: Path, footer: Footer, name: str) -> None:
    """Raise SourceError unless a column exists once, has numbers, and the file can hold as many as it promises."""
    check_name(path, footer, name)
    kind = footer.schema.field(name).type
    tests = (pa.types.is_floating, pa.types.is_integer, pa.types.is_boolean, pa.types.is_decimal)
    if not any(test(_value_type(kind)) for test in tests):
        raise SourceError(f"{path}: {name} has type {printable(str(kind))}, expected numbers")
    check_promises(path, footer, name, 1)


def read_columns(path: Path, footer: Footer, names: Sequence[str]) -> dict[str, npt.NDArray[Any]]:
    """Return columns that passed `check_column`, (rows,), by name; a missing value becomes NaN.

    Raises
    ------
    SourceError
        If pages promise more than the footer, or a column has another number of rows.
    OSError
        If the columns cannot be read.
    """
    rows = int(footer.first_row[-1])
    check_pages(path, footer, names, range(footer.metadata.num_row_groups))
    with name_errors(path, "columns of numbers cannot be read"), open_file(path, footer.metadata) as file:
        table = file.read(list(names), use_threads=False)
        columns = {name: _as_numbers(table[name]) for name in names}
    for name, column in columns.items():
        if len(column) != rows:
            raise SourceError(f"{path}: {name} has {len(column):,} values, but the file promises {rows:,} rows")
    return columns


def _value_type(kind: Any) -> Any:
    """Return Arrow's type of the values, without the dictionary or extension that they come in."""
    if isinstance(kind, pa.BaseExtensionType):
        return kind.storage_type
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _as_numbers(column: Any) -> npt.NDArray[Any]:
    """Return a column of Arrow's as an array."""
    column = column.cast(_value_type(column.type))
    if column.null_count or pa.types.is_decimal(column.type):
        column = column.cast(pa.float64())
    return np.asarray(column.to_numpy())
