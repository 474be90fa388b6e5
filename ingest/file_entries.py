"""What an HDF5 or Parquet file holds: the name, shape and type of each dataset or column, and the first values."""

import itertools
import math
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
import numpy.typing as npt

from store.errors import SourceError
from store.sources.hdf5_storage import find_dataset, opened
from store.sources.opening import check_pyarrow, is_parquet
from store.sources.probe import probe

MOST_ENTRIES = 1000
DEEPEST = 4  # groups in groups, lists in lists
LOOK_BYTES = 64 << 20  # of a column, to see its values
LOOK_ROWS = 1_000_000
LIKE_ROWS = 20  # whose lists must be equally long for a fixed shape
MOST_CHANNELS = 100
LONGEST_TEXT = 64  # bytes; a fixed number of more bytes is an image

Values = Literal["float", "integer", "text", "other"]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A dataset of an HDF5 file, or a column of a Parquet file.

    Attributes
    ----------
    name
        Its name in the file.
    shape
        Its shape with the rows first; nested lists are as long as in the first row.
    kind
        Its type, in the words of the file.
    values
        What its values are; truth values count as integers.
    channel_first
        Whether images in this form usually have their channels on the first axis.
    """

    name: str
    shape: tuple[int, ...]
    kind: str
    values: Values
    channel_first: bool = False

    @property
    def is_number(self) -> bool:
        """Whether its values are numbers."""
        return self.values in ("float", "integer")

    @property
    def is_column(self) -> bool:
        """Whether it has one value per row."""
        return self.shape[1:] in ((), (1,)) and len(self.shape) > 0

    def __str__(self) -> str:
        return f"{self.shape} {self.kind}"


def list_entries(path: Path) -> list[Entry]:
    """Return what a file holds.

    Raises
    ------
    SourceError
        If the file cannot be read.
    ConfigError
        If the file is Parquet and pyarrow is not installed.
    """
    if not path.is_file():
        raise SourceError(f"{path}: is a folder; give a file in it" if path.is_dir() else f"{path}: no such file")
    if is_parquet(path):
        check_pyarrow(path)
        return _parquet_entries(path)
    return _hdf5_entries(path)


def read_first(path: Path, entry: Entry) -> npt.NDArray[Any]:
    """Return the first values of a column, (rows,), or (rows, n) if it has n numbers per row.

    Raises
    ------
    SourceError
        If they cannot be read.
    """
    width = math.prod(entry.shape[1:])
    rows = min(entry.shape[0], LOOK_ROWS, max(1, LOOK_BYTES // (8 * width)))
    if not is_parquet(path):
        with opened(path) as file:
            values = np.asarray(file[entry.name][:rows])
        return values.reshape(-1) if entry.is_column else values
    from store.sources.parquet_columns import check_name, iterate_column
    from store.sources.parquet_storage import check_promises, read_footer

    footer = read_footer(path, path.stat().st_mtime_ns)
    check_name(path, footer, entry.name)
    check_promises(path, footer, entry.name, width)
    pieces: list[npt.NDArray[Any]] = []
    try:
        column = iterate_column(path, footer, entry.name, width)
        while sum(map(len, pieces)) < rows:
            pieces.append(next(column))
    except (OSError, StopIteration) as error:
        raise SourceError(str(error) or f"{path}: {entry.name} has fewer than {rows:,} rows") from error
    return np.concatenate(pieces)[:rows]


def _hdf5_entries(path: Path) -> list[Entry]:
    """Return the datasets of an HDF5 file, after a trial reading: see `store.sources.probe`."""
    probe([path], [])
    with opened(path) as file:
        names = [*itertools.islice(_dataset_names(file, "", 0), MOST_ENTRIES)]
    probe([path], names)
    entries = []
    with opened(path) as file:
        for name in names:
            with suppress(SourceError):
                dataset = find_dataset(file, path, name)
                values = _hdf5_values(dataset.dtype)
                kind = "text" if values == "text" else str(dataset.dtype)
                entries.append(Entry(name=name, shape=dataset.shape, kind=kind, values=values))
    return entries


def _hdf5_values(dtype: np.dtype[Any]) -> Values:
    if h5py.check_string_dtype(dtype) is not None:
        return "text"
    return "float" if dtype.kind == "f" else "integer" if dtype.kind in "iub" else "other"


def _dataset_names(group: Any, prefix: str, depth: int) -> Iterator[str]:
    """Yield the names of the datasets in a group and in the groups in it."""
    for name in group:
        with suppress(KeyError, OSError, RuntimeError, ValueError):
            kind = group.get(name, getclass=True)
            if kind is h5py.Dataset:
                yield f"{prefix}{name}"
            elif kind is h5py.Group and depth < DEEPEST:
                yield from _dataset_names(group[name], f"{prefix}{name}/", depth + 1)


def _parquet_entries(path: Path) -> list[Entry]:
    """Return the columns of a Parquet file."""
    import pyarrow as pa

    from store.sources.parquet_columns import value_type
    from store.sources.parquet_images import list_sizes
    from store.sources.parquet_storage import read_footer

    footer = read_footer(path, path.stat().st_mtime_ns)
    rows, names = int(footer.first_row[-1]), footer.schema.names
    entries = []
    for field in footer.schema:
        kind = field.type
        sizes, value = list_sizes(value_type(kind))
        if names.count(field.name) > 1 or len(sizes) > DEEPEST:
            continue
        shape: tuple[int, ...] = (rows, *(size or 0 for size in sizes))
        try:
            if None in sizes and rows:
                shape = (rows, *_first_sizes(path, footer, field.name, len(sizes)))
        except SourceError:  # of a damaged column, which may not be the one with images
            continue
        values = _parquet_values(value)
        if isinstance(kind, pa.FixedShapeTensorType):
            shape = (rows, *(kind.shape[axis] for axis in kind.permutation or range(len(kind.shape))))
        elif pa.types.is_fixed_size_binary(kind) and kind.byte_width % 4 == 0 and kind.byte_width > LONGEST_TEXT:
            shape, values = (rows, *guess_shape(kind.byte_width // 4)), "float"
        in_lists = len(sizes) > 1
        entries.append(Entry(name=field.name, shape=shape, kind=str(kind), values=values, channel_first=in_lists))
    return entries


def _parquet_values(kind: Any) -> Values:
    from store.sources.parquet_columns import NUMBERS, TEXTS, is_any

    if is_any(kind, TEXTS):
        return "text"
    if not is_any(kind, NUMBERS):
        return "other"
    import pyarrow as pa

    is_whole = pa.types.is_integer(kind) or pa.types.is_boolean(kind) or (pa.types.is_decimal(kind) and kind.scale == 0)
    return "integer" if is_whole else "float"


def _first_sizes(path: Path, footer: Any, name: str, depth: int) -> Sequence[int]:
    """Return how long the nested lists of the first rows of a column are: 0 at a depth where they differ."""
    import pyarrow.compute as pc

    from store.sources.parquet_storage import check_pages, name_errors, open_file

    group = int(np.flatnonzero(np.diff(footer.first_row))[0])
    check_pages(path, footer, [name], [group])
    sizes = []
    with (
        name_errors(path, f"{name} cannot be read", SourceError),
        open_file(path, footer.metadata) as file,
        closing(file.iter_batches(1, row_groups=[group], columns=[name], use_threads=False)) as batches,
    ):
        for batch in itertools.islice(batches, LIKE_ROWS):
            values, sizes_of_row = batch.column(0), []
            for _ in range(depth):
                lengths = pc.unique(pc.list_value_length(values)).to_pylist()
                sizes_of_row.append(lengths[0] or 0 if len(lengths) == 1 else 0)
                values = values.flatten()
            sizes.append(sizes_of_row)
    return [lengths[0] if len(set(lengths)) == 1 else 0 for lengths in zip(*sizes, strict=True)]


def guess_shape(values: int) -> tuple[int, int, int]:
    """Return a guess at the shape of an image of that many values: square, with as few channels as possible."""
    sides = {channels: math.isqrt(values // channels) for channels in range(1, MOST_CHANNELS)}
    return next(
        ((side, side, channels) for channels, side in sides.items() if side * side * channels == values),
        (1, values, 1),
    )
