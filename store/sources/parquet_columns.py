"""Columns of numbers, and of labels, in a Parquet file."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from store.arrays import UInt8Array
from store.datasets import DatasetSpec
from store.errors import SourceError, printable
from store.sources.labels import PIECE_VALUES, as_classes, as_text
from store.sources.parquet_storage import (
    Footer,
    check_pages,
    check_promises,
    find_leaf,
    name_errors,
    open_file,
    read_chunk,
)
from store.sources.values import LARGEST_INTEGER

PIECE_BYTES = 16 << 20  # of labels that are read at once

NUMBERS = (pa.types.is_floating, pa.types.is_integer, pa.types.is_boolean, pa.types.is_decimal)
TEXTS = (
    *(pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view),
    *(pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view, pa.types.is_fixed_size_binary),
)
LISTS = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)


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
    if not is_any(value_type(kind), NUMBERS):
        raise SourceError(f"{path}: {name} has type {printable(str(kind))}, expected numbers")
    check_promises(path, footer, name, 1)


def check_label(path: Path, footer: Footer, name: str, spec: DatasetSpec) -> None:
    """Raise SourceError unless a column exists once and has labels: see `store.sources.labels`."""
    check_name(path, footer, name)
    kind = value_type(footer.schema.field(name).type)
    if is_any(kind, LISTS) and is_any(kind.value_type, NUMBERS) and spec.label_values is None:
        check_promises(path, footer, name, len(spec.classes))
    elif is_any(kind, (*NUMBERS, *TEXTS)):
        check_promises(path, footer, name, 1)
    else:
        columns = "" if spec.label_values else f", or lists of {len(spec.classes)} numbers, one per class"
        raise SourceError(
            f"{path}: {name} has type {printable(str(kind))}, expected numbers or names of classes{columns}"
        )


def read_labels(path: Path, footer: Footer, name: str, spec: DatasetSpec) -> UInt8Array:
    """Return the classes of a column that passed `check_label`, uint8 (rows,); see `store.sources.labels.as_classes`.

    Raises
    ------
    SourceError
        If a label stands for no class, pages promise more than the footer, or the column has another number of rows.
    OSError
        If the column cannot be read.
    """
    rows, pieces, start = int(footer.first_row[-1]), [], 0
    for values in iterate_column(path, footer, name, len(spec.classes)):
        pieces.append(as_classes(path, name, values, spec, start))
        start += len(values)
    if start != rows:
        raise SourceError(f"{path}: {name} has {start:,} values, but the file promises {rows:,} rows")
    return np.concatenate(pieces)


def iterate_column(path: Path, footer: Footer, name: str, width: int) -> Iterator[npt.NDArray[Any]]:
    """Yield a column of numbers, texts or lists of numbers piece by piece, as (n,), or (n, width) for lists.

    Raises
    ------
    SourceError
        If pages promise more than the footer, or a list has another length than `width`.
    OSError
        If the column cannot be read.
    """
    kind, start = value_type(footer.schema.field(name).type), 0
    check_pages(path, footer, [name], range(footer.metadata.num_row_groups))
    texts = [name] if is_any(kind, TEXTS) and not pa.types.is_fixed_size_binary(kind) else []
    rows = max(1, min(PIECE_VALUES // width, PIECE_BYTES // _largest_row(footer, name)))
    with name_errors(path, f"{name} cannot be read"), open_file(path, footer.metadata, texts) as file:
        for batch in file.iter_batches(rows, columns=[name], use_threads=False):
            yield _values(path, name, batch.column(0), width, start)
            start += len(batch)


def _largest_row(footer: Footer, name: str) -> int:
    """Return the mean size of a row of a column, in bytes, in the row group where it is largest."""
    leaf = find_leaf(footer, name)
    chunks = [read_chunk(footer, group, leaf) for group in range(footer.metadata.num_row_groups)]
    sizes = zip(chunks, np.diff(footer.first_row).tolist(), strict=True)
    return 1 + max((chunk.decompressed // max(1, rows) for chunk, rows in sizes), default=0)


def _values(path: Path, name: str, column: Any, width: int, start: int) -> npt.NDArray[Any]:
    """Return a part of a column that begins at row `start` as (rows,), or (rows, width) if it has lists."""
    if isinstance(column.type, pa.BaseExtensionType):
        column = column.storage
    if pa.types.is_dictionary(column.type) and is_any(column.type.value_type, TEXTS):
        texts = np.array([*map(as_text, column.dictionary.to_pylist()), None], object)
        index: npt.NDArray[Any] = column.indices.cast(pa.int64()).fill_null(len(texts) - 1).to_numpy()
        named: npt.NDArray[Any] = texts[index]
        return named
    if not is_any(column.type, LISTS):
        return as_numbers(column)
    lengths = pc.list_value_length(column).to_numpy(zero_copy_only=False)  # NaN for a list that is missing
    if not np.all(lengths == width):
        row = int(np.argmin(lengths == width))
        problem = "is missing" if np.isnan(lengths[row]) else f"has length {lengths[row]:g}"
        raise SourceError(f"{path}: {name}[{start + row}] {problem}, expected {width} numbers, one per class")
    return as_numbers(column.flatten()).reshape(-1, width)


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
        columns = {name: as_numbers(table[name]) for name in names}
    for name, column in columns.items():
        if len(column) != rows:
            raise SourceError(f"{path}: {name} has {len(column):,} values, but the file promises {rows:,} rows")
    return columns


def value_type(kind: Any) -> Any:
    """Return Arrow's type of the values, without the dictionary or extension that they come in."""
    if isinstance(kind, pa.BaseExtensionType):
        return kind.storage_type
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def is_any(kind: Any, tests: Sequence[Callable[[Any], bool]]) -> bool:
    """Return whether one of Arrow's tests for types holds for a type."""
    return any(test(kind) for test in tests)


def as_numbers(column: Any) -> npt.NDArray[Any]:
    """Return a column of Arrow's as an array: of numbers, NaN for those that are missing, or of texts or None.

    Decimals without a fraction are integers, as Spark writes unsigned ones.
    """
    column = column.cast(value_type(column.type))
    if pa.types.is_decimal(column.type) and column.type.scale == 0 and not column.null_count:
        largest = pc.max(column).as_py() or 0
        column = column.cast(pa.uint64() if largest > LARGEST_INTEGER else pa.int64())
    elif is_any(column.type, NUMBERS) and (column.null_count or pa.types.is_decimal(column.type)):
        column = column.cast(pa.float64(), safe=False)
    return np.asarray(column.to_numpy(zero_copy_only=False) if isinstance(column, pa.Array) else column.to_numpy())
