"""Tables of scores, as CSV or Parquet: written in pieces, read whole."""

import contextlib
import csv
import importlib.util
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from store.errors import ConfigError, RunError

Write = Callable[[dict[str, Any]], None]
OpenTable = Callable[[Path], AbstractContextManager[Write]]


def choose_table(output: Path) -> OpenTable:
    """Return what opens a new table in the format that a file's suffix names, for columns of some rows at a time.

    Raises
    ------
    ConfigError
        If it is neither ``.csv`` nor ``.parquet``, or pyarrow is needed and not installed.
    """
    if output.suffix == ".csv":
        return _write_csv
    if output.suffix != ".parquet":
        raise ConfigError(f"{output}: has the suffix {output.suffix!r}; scores go into .csv or .parquet")
    check_parquet(output)
    return _write_parquet


def check_parquet(path: Path) -> None:
    """Raise ConfigError if there is no pyarrow to read or write a Parquet file with."""
    if importlib.util.find_spec("pyarrow") is None:
        raise ConfigError(f"{path}: Parquet files need pyarrow; install calostream[parquet]")


def is_parquet(path: Path) -> bool:
    """Tell whether the first bytes of a file are those of Parquet."""
    with path.open("rb") as file:
        return file.read(4) == b"PAR1"


def read_table(path: Path, known: Sequence[str]) -> dict[str, npt.NDArray[Any]]:
    """Return those columns with known names that a table has.

    Raises
    ------
    RunError
        If the file is no such table.
    ConfigError
        If pyarrow is needed and not installed.
    """
    if not is_parquet(path):
        return _read_csv(path, known)
    check_parquet(path)
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            table = file.read([name for name in known if name in file.schema_arrow.names])
            return {name: table[name].to_numpy() for name in table.column_names}
    except (pa.ArrowException, OSError) as error:
        raise RunError(f"{path}: not a readable Parquet file ({error})") from None


def _read_csv(path: Path, known: Sequence[str]) -> dict[str, npt.NDArray[Any]]:
    try:
        with path.open(encoding="ascii", newline="") as file, warnings.catch_warnings(action="error"):
            names = next(csv.reader(file), [])
            chosen = [name for name in known if name in names]
            places = [names.index(name) for name in chosen]
            values = np.loadtxt(file, delimiter=",", ndmin=2, usecols=places) if places else np.empty((0, 0))
    except (ValueError, csv.Error, UserWarning) as error:
        raise RunError(f"{path}: not a table of numbers ({error})") from None
    return dict(zip(chosen, values.T, strict=True))


@contextlib.contextmanager
def _write_csv(path: Path) -> Iterator[Write]:
    with path.open("w", encoding="ascii", newline="") as file:

        def write(columns: dict[str, Any]) -> None:
            if not file.tell():
                file.write(",".join(columns) + "\n")
            rows = zip(*(column.tolist() for column in columns.values()), strict=True)
            file.writelines(",".join(map(repr, row)) + "\n" for row in rows)

        yield write


@contextlib.contextmanager
def _write_parquet(path: Path) -> Iterator[Write]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with contextlib.ExitStack() as stack:
        opened: list[pq.ParquetWriter] = []

        def write(columns: dict[str, Any]) -> None:
            table = pa.table(columns)
            if not opened:
                opened.append(stack.enter_context(pq.ParquetWriter(path, table.schema)))
            opened[0].write_table(table)

        yield write
