"""Writing a table in pieces, as CSV or Parquet."""

import contextlib
import importlib.util
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from store.errors import ConfigError

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
