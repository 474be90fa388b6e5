"""Tables of scores as CSV or Parquet, which are written block by block and read as a whole.

For two classes, a table has the column ``score``, the probability of class 1. For more, it has a column of
probabilities for each class, ``score_`` and the name of the class, in the order of the classes.
"""

import contextlib
import csv
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from store.arrays import Float64Array
from store.errors import ConfigError, RunError, SourceError, printable
from store.sources.opening import check_pyarrow, is_parquet

WriteRows = Callable[[dict[str, NDArray[Any]]], None]
"""Appends rows, given as columns, to a table."""

OpenTable = Callable[[Path], AbstractContextManager[WriteRows]]
"""Creates a table."""

PREFIX = "score_"
"""What the names of columns with the probabilities of classes begin with."""


def name_scores(scores: Float64Array, classes: Sequence[str]) -> dict[str, Float64Array]:
    """Return scores, (n,) or (n, class), as the columns of a table."""
    if scores.ndim == 1:
        return {"score": scores}
    return {f"{PREFIX}{name}": column for name, column in zip(classes, scores.T, strict=True)}


def find_scores(names: Sequence[str]) -> list[str]:
    """Return the columns of a table that hold scores, by the names of all its columns."""
    return ["score"] if "score" in names else [name for name in dict.fromkeys(names) if name.startswith(PREFIX)]


def choose_format(output: Path) -> OpenTable:
    """Return the function that creates a table in the format of a file's suffix.

    Raises
    ------
    ConfigError
        If the suffix is neither ``.csv`` nor ``.parquet``, or pyarrow is needed and not installed.
    """
    if output.suffix == ".csv":
        return _write_csv
    if output.suffix != ".parquet":
        raise ConfigError(f"{output}: scores are written as .csv or .parquet, not {output.suffix!r}")
    check_pyarrow(output)
    return _write_parquet


def read_table(path: Path) -> dict[str, NDArray[Any]]:
    """Return the columns of a table that hold rows, labels and scores, as far as it has them.

    Raises
    ------
    RunError
        If the file is not such a table.
    ConfigError
        If pyarrow is needed and not installed.
    """
    if not is_parquet(path):
        return _read_csv(path)
    check_pyarrow(path)
    try:
        return _read_parquet(path)
    except (SourceError, OSError) as error:
        raise RunError(str(error)) from None


def _choose(names: Sequence[str]) -> list[str]:
    """Return the columns to read, by the names of all columns."""
    return [name for name in ("row", *find_scores(names), "label") if name in names]


def _read_parquet(path: Path) -> dict[str, NDArray[Any]]:
    from store.sources.parquet_columns import check_column, read_columns
    from store.sources.parquet_storage import read_footer

    footer = read_footer(path, path.stat().st_mtime_ns)
    present = _choose(footer.schema.names)
    for name in present:
        check_column(path, footer, name)
    return read_columns(path, footer, present)


def _read_csv(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file, warnings.catch_warnings(action="error"):
            header = next(csv.reader(file), [])
            present = _choose(header)
            columns = [header.index(name) for name in present]
            values = (
                np.loadtxt(file, delimiter=",", quotechar='"', ndmin=2, usecols=columns)
                if columns
                else np.empty((0, 0))
            )
    except (ValueError, csv.Error, UserWarning) as error:
        raise RunError(f"{path}: not a table of numbers ({printable(' '.join(str(error).split()))})") from None
    repeated = next((name for name in present if header.count(name) > 1), None)
    if repeated:
        raise RunError(
            f"{path}: {header.count(repeated)} columns are called {repeated!r}; rename or remove all but one"
        )
    return dict(zip(present, values.T, strict=True))


@contextlib.contextmanager
def _write_csv(path: Path) -> Iterator[WriteRows]:
    with path.open("w", encoding="utf-8", newline="") as file:

        def write(columns: dict[str, NDArray[Any]]) -> None:
            if not file.tell():
                csv.writer(file, lineterminator="\n").writerow(columns)
            rows = zip(*(column.tolist() for column in columns.values()), strict=True)
            file.writelines(",".join(map(repr, row)) + "\n" for row in rows)

        yield write


@contextlib.contextmanager
def _write_parquet(path: Path) -> Iterator[WriteRows]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with contextlib.ExitStack() as stack:
        opened: list[pq.ParquetWriter] = []

        def write(columns: dict[str, NDArray[Any]]) -> None:
            table = pa.table(columns)
            if not opened:
                opened.append(stack.enter_context(pq.ParquetWriter(path, table.schema)))
            opened[0].write_table(table)

        yield write
