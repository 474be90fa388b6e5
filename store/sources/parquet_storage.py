"""Whether a Parquet file can hold what it promises: rows, values and sizes, checked before anything is allocated.

A column chunk is the part of a column that lies in one row group; a leaf is a column as Parquet counts them, of plain
values without their lists.
"""

import functools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from store.arrays import Int64Array
from store.errors import SourceError, printable
from store.sources.memory import check_memory, check_rows
from store.sources.parquet_pages import read_pages

BUFFER_BYTES = 1 << 20  # read from the file at once, however large a row group is
SMALL_CHUNK = 1 << 10  # bytes; no page in a smaller column chunk is decompressed to much more than `SMALL_PAGE`
SMALL_PAGE = 4 << 20  # bytes; the sizes of smaller pages are not needed exactly
SMALL_ROWS = 1 << 16  # rows; the columns of so many take little memory
MANY_VALUES = 1 << 24  # of images in a column chunk; fewer are read, to find the row with a wrong number of values
COPIES = 3  # of a decompressed page that pyarrow holds at once


@dataclass(frozen=True)
class Footer:
    """The footer of a Parquet file.

    Attributes
    ----------
    metadata, schema
        As pyarrow represents them.
    first_row
        int64 (row groups + 1,), first row of each group and, last, the number of rows.
    """

    metadata: Any
    schema: Any
    first_row: Int64Array


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """What a footer promises of a column chunk.

    Attributes
    ----------
    start, stop
        Range of its bytes in the file.
    decompressed
        Size of all its pages after decompression, in bytes.
    values
        Number of its values, including missing ones.
    file
        Name of the file that holds it, or an empty string if it is the file with the footer.
    """

    start: int
    stop: int
    decompressed: int
    values: int
    file: str


@contextmanager
def name_errors(path: Path, what: str, kind: type[Exception] = OSError) -> Iterator[None]:
    """Turn whatever pyarrow raises into one line that names the file and what cannot be read."""
    try:
        yield
    except SourceError:
        raise
    except Exception as error:  # of a damaged file, pyarrow raises any of a dozen types
        raise kind(f"{path}: {what} ({printable(' '.join(str(error).split()))})") from error


def open_file(path: Path, metadata: Any = None, dictionaries: Sequence[str] = ()) -> pq.ParquetFile:
    """Open a Parquet file to read its row groups piece by piece, with checks of the pages that have checksums.

    Parameters
    ----------
    path
        The file.
    metadata
        Its footer as pyarrow represents it, if it was read before.
    dictionaries
        Names of columns of texts that are read as dictionaries, so that no text is held twice.
    """
    return pq.ParquetFile(
        path,
        metadata=metadata,
        read_dictionary=[*dictionaries],
        buffer_size=BUFFER_BYTES,
        pre_buffer=False,  # else whole row groups are read at once
        page_checksum_verification=True,
    )


@functools.lru_cache(maxsize=8)
def read_footer(path: Path, modified: int) -> Footer:
    """Read a footer, once for each time of modification, because it takes half a kilobyte per row group.

    Raises
    ------
    SourceError
        If there is none, or a row group promises a negative number of rows.
    """
    with name_errors(path, "not a readable Parquet file", SourceError), open_file(path) as file:
        metadata, schema = file.metadata, file.schema_arrow
        rows = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
    if min(rows, default=0) < 0:
        raise SourceError(f"{path}: row group {rows.index(min(rows))} promises {min(rows)} rows")
    return Footer(metadata, schema, np.cumsum([0, *rows]))


def find_leaf(footer: Footer, name: str) -> int:
    """Return the number of the first leaf of a column."""
    paths = (footer.metadata.schema.column(leaf).path for leaf in range(footer.metadata.num_columns))
    return next(leaf for leaf, path in enumerate(paths) if path == name or path.startswith(f"{name}."))


def read_chunk(footer: Footer, group: int, leaf: int) -> Chunk:
    """Return what the footer promises of a column chunk."""
    column = footer.metadata.row_group(group).column(leaf)
    start = column.data_page_offset
    if column.has_dictionary_page and 0 < column.dictionary_page_offset < start:
        start = column.dictionary_page_offset
    return Chunk(
        start=start,
        stop=start + column.total_compressed_size,
        decompressed=column.total_uncompressed_size,
        values=column.num_values,
        file=column.file_path,
    )


def check_promises(path: Path, footer: Footer, name: str, values_per_row: int) -> None:
    """Hold what the footer promises of a column against the size of the file and the memory of this machine.

    Raises
    ------
    SourceError
        If the file cannot hold what it promises, or not in its rows.
    """
    size, leaf = path.stat().st_size, find_leaf(footer, name)
    total = int(footer.first_row[-1])
    check_rows(path, total)
    if total > SMALL_ROWS + 8 * size:
        raise SourceError(f"{path}: {name} promises {total:,} rows in a file of {size:,} bytes; the file is damaged")
    for group, rows in enumerate(np.diff(footer.first_row).tolist()):
        chunk, where = read_chunk(footer, group, leaf), f"{path}: {name} in row group {group}"
        if chunk.file:
            raise SourceError(f"{where} is in another file, {chunk.file!r}; give that file as a source instead")
        if not 0 < chunk.start <= chunk.stop <= size:
            raise SourceError(
                f"{where} is promised at bytes {chunk.start:,} to {chunk.stop:,}, but the file has {size:,} bytes; "
                "it is damaged or incomplete"
            )
        expected = rows * values_per_row
        if chunk.values != expected and (values_per_row == 1 or chunk.values > MANY_VALUES):
            raise SourceError(f"{where} has {chunk.values:,} values in {rows:,} rows, expected {expected:,}")


def check_pages(path: Path, footer: Footer, names: Iterable[str], groups: Iterable[int]) -> None:
    """Hold the pages of some columns in some row groups against what the footer promises, before they are read.

    Raises
    ------
    SourceError
        If a page promises more bytes or values than the footer, or has no valid header.
    """
    leaves = {name: find_leaf(footer, name) for name in names}
    with path.open("rb", buffering=0) as file:
        for group in groups:
            for name, leaf in leaves.items():
                chunk = read_chunk(footer, group, leaf)
                if chunk.stop - chunk.start >= SMALL_CHUNK:
                    _largest_page(file.fileno(), f"{path}: {name} in row group {group}", chunk)


def page_memory(path: Path, footer: Footer, name: str) -> int:
    """Return the memory that pyarrow needs to decompress the largest page of a column, in bytes.

    Raises
    ------
    SourceError
        If this machine has less, or as `check_pages`.
    """
    leaf, largest = find_leaf(footer, name), 0
    with path.open("rb", buffering=0) as file:
        for group in range(footer.metadata.num_row_groups):
            chunk = read_chunk(footer, group, leaf)
            size = chunk.decompressed
            if size > SMALL_PAGE:
                size = _largest_page(file.fileno(), f"{path}: {name} in row group {group}", chunk)
            largest = max(largest, size)
    check_memory(path, f"pages of {largest:,} bytes", COPIES * largest)
    return COPIES * largest


def _largest_page(file: int, where: str, chunk: Chunk) -> int:
    """Return the size of the largest page of a chunk after decompression, after checking what all pages promise."""
    values = largest = 0
    try:
        for page in read_pages(file, chunk.start, chunk.stop):
            if page.decompressed > max(SMALL_PAGE, chunk.decompressed):
                raise SourceError(f"a page promises {page.decompressed:,} bytes, but the footer {chunk.decompressed:,}")
            if page.dictionary and page.values > page.decompressed:
                raise SourceError(f"a dictionary promises {page.values:,} values in {page.decompressed:,} bytes")
            values += 0 if page.dictionary else page.values
            if values > chunk.values:
                raise SourceError(f"the pages promise {values:,} values, but the footer {chunk.values:,}")
            largest = max(largest, page.decompressed)
    except SourceError as error:
        raise SourceError(f"{where}: {error}; the file is damaged") from None
    return largest
