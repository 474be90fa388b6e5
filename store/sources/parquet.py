"""Parquet source files: a column of images, one of labels, and one for each variable.

An image is either nested lists in the order channel, ieta, iphi, as the jets were published, or a fixed number of
bytes: little-endian float32 in the order ieta, iphi, channel. A row group may hold one image or thousands; images are
decoded a few at a time, so that memory does not depend on its size.
"""

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from store.arrays import Float32Array, Float64Array, Int64Array, UInt8Array
from store.datasets import DatasetSpec
from store.errors import SourceError
from store.sources.values import WEIGHT_KEY, as_classes, as_images, as_simulation, as_variable, as_weights

BLOCK_BYTES = 8 << 20  # images read in one call, if row groups are smaller
BATCH_BYTES = 2 << 20  # images decoded at once
BUFFER_BYTES = 1 << 20  # read from the file at once, however large a row group is


@dataclass(frozen=True)
class ParquetSource:
    """A Parquet file with columns of images, labels and variables; see `store.sources.source.Source`.

    Parameters
    ----------
    path
        The file.
    spec
        Names and shapes of the columns to expect.
    require_labels
        Whether a file without labels is refused.

    Raises
    ------
    SourceError
        If the file is not Parquet, or a column is missing or has the wrong type.
    """

    path: Path
    spec: DatasetSpec
    require_labels: bool = True
    other_files: ClassVar[tuple[Path, ...]] = ()

    def __post_init__(self) -> None:
        try:
            names = self._footer.schema.names
        except (pa.ArrowException, OSError) as error:
            raise SourceError(f"{self.path}: not a readable Parquet file ({error})") from None
        labels = [self.spec.label_key] if self.require_labels or self.labelled else []
        columns = [*labels, *(variable.name for variable in self.spec.variables)]
        for name in (self.image_key, *columns):
            if name not in names:
                raise SourceError(
                    f"{self.path}: no column {name!r}; the file has {', '.join(map(repr, names)) or 'nothing'}"
                )
        for name in columns:
            self._check_column(name)
        self._check_images()
        if not self.rows:
            raise SourceError(f"{self.path}: {self.image_key} has no rows")

    def _check_column(self, name: str) -> None:
        kind = self._type(name)
        if not (pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind)):
            raise SourceError(f"{self.path}: {name} has type {kind}, expected numbers")

    def _check_images(self) -> None:
        kind, size = self._type(self.image_key), self.spec.sample_bytes
        if pa.types.is_fixed_size_binary(kind):
            if kind.byte_width != size:
                raise SourceError(
                    f"{self.path}: {self.image_key} has {kind.byte_width} bytes per row, "
                    f"expected {size} for float32 {self.spec.image_shape}"
                )
        elif self._value_type not in (pa.float32(), pa.float64()):
            raise SourceError(
                f"{self.path}: {self.image_key} has type {kind}, "
                f"expected float or double in three nested lists, or {size} bytes per row"
            )

    @property
    def _footer(self) -> "_Footer":
        return _read_footer(self.path, self.path.stat().st_mtime_ns)

    def _type(self, name: str) -> Any:
        """Arrow's type of a column."""
        return self._footer.schema.field(name).type

    @property
    def _list_sizes(self) -> tuple[int, int, int]:
        """Sizes of the nested lists of an image, (channel, ieta, iphi)."""
        ieta, iphi, channel = self.spec.image_shape
        return channel, ieta, iphi

    @property
    def _value_type(self) -> Any:
        """Arrow's type of the values of an image, or None if they are not in three nested lists or bytes."""
        value = self._type(self.image_key)
        if pa.types.is_fixed_size_binary(value):
            return pa.float32()
        for _ in self._list_sizes:
            value = getattr(value, "value_type", None)
        return value

    @contextmanager
    def _open(self, what: str) -> Iterator[pq.ParquetFile]:
        """Open the file; an error while it is read names the file and what cannot be read."""
        try:
            with pq.ParquetFile(self.path, metadata=self._footer.metadata, buffer_size=BUFFER_BYTES) as file:
                yield file
        except (pa.ArrowException, OSError) as error:
            raise OSError(f"{self.path}: {what} cannot be read ({error})") from error

    @cached_property
    def image_key(self) -> str:
        """Name of the images in this file."""
        keys = self.spec.image_keys
        return next((key for key in keys if key in self._footer.schema.names), keys[0])

    @cached_property
    def rows(self) -> int:
        """See `Source.rows`."""
        return int(self._footer.first_row[-1])

    @cached_property
    def block(self) -> int:
        """See `Source.block`: rows of the largest row group, or of as many row groups as have about 8 MiB of images."""
        largest = int(np.diff(self._footer.first_row).max())
        return largest * max(1, BLOCK_BYTES // (largest * self.spec.sample_bytes))

    @cached_property
    def stored_bytes(self) -> int:
        """See `Source.stored_bytes`."""
        metadata = self._footer.metadata
        paths = [metadata.schema.column(leaf).path for leaf in range(metadata.num_columns)]
        leaf = next(leaf for leaf, path in enumerate(paths) if path.split(".")[0] == self.image_key)
        groups = map(metadata.row_group, range(metadata.num_row_groups))
        return sum(group.column(leaf).total_compressed_size for group in groups)

    @property
    def simulated(self) -> str:
        """See `Source.simulated`; a file declares it under the key ``simulation`` of its metadata."""
        declared = (self._footer.metadata.metadata or {}).get(b"simulation", b"")
        return as_simulation(self.path, declared)

    @property
    def note(self) -> str:
        """See `Source.note`."""
        value = self._value_type
        if value == pa.float32():
            return ""
        return f"{self.path}: {self.image_key} has type {value}; it is stored as float32 without loss"

    @property
    def unread(self) -> tuple[str, ...]:
        """See `Source.unread`."""
        read = {self.image_key, self.spec.label_key, *(variable.name for variable in self.spec.variables)}
        return tuple(name for name in self._footer.schema.names if name not in read)

    @property
    def labelled(self) -> bool:
        """See `Source.labelled`."""
        return self.spec.label_key in self._footer.schema.names

    @property
    def weighted(self) -> bool:
        """See `Source.weighted`."""
        return WEIGHT_KEY in self._footer.schema.names

    def labels(self) -> UInt8Array:
        """See `Source.labels`."""
        key = self.spec.label_key
        return as_classes(self.path, key, self._columns([key])[key], self.spec.classes)

    def weights(self) -> Float64Array:
        """See `Source.weights`."""
        self._check_column(WEIGHT_KEY)
        return as_weights(self.path, WEIGHT_KEY, self._columns([WEIGHT_KEY])[WEIGHT_KEY])

    def variables(self) -> dict[str, Float32Array]:
        """See `Source.variables`."""
        columns = self._columns([variable.name for variable in self.spec.variables])
        return {name: as_variable(self.path, name, values) for name, values in columns.items()}

    def _columns(self, names: list[str]) -> dict[str, npt.NDArray[Any]]:
        """Return columns of numbers by name; a missing value becomes NaN."""
        with self._open("columns of numbers") as file:
            table = file.read(names, use_threads=False)
        columns = {name: table[name] for name in names}
        return {name: (c.cast(pa.float64()) if c.null_count else c).to_numpy() for name, c in columns.items()}

    def read(self, start: int, stop: int) -> Float32Array:
        """See `Source.read`."""
        images = np.empty((stop - start, *self.spec.image_shape), np.float32)
        batch_rows, first_row = max(1, BATCH_BYTES // self.spec.sample_bytes), self._footer.first_row
        groups = range(*np.searchsorted(first_row, [start, stop - 1], side="right") - [1, 0])
        with self._open(f"rows {start} to {stop - 1}") as file:
            for group in groups:
                row = int(first_row[group])
                for batch in file.iter_batches(
                    batch_rows, row_groups=[group], columns=[self.image_key], use_threads=False
                ):
                    begin, end = max(start, row), min(stop, row + len(batch))
                    if begin < end:
                        images[begin - start : end - start] = self._images(batch[0][begin - row : end - row], begin)
                    row += len(batch)
        return images

    def scan(self, rows: int) -> Iterator[Float32Array]:
        """See `Source.scan`."""
        start = 0
        with self._open(self.image_key) as file:
            for batch in file.iter_batches(rows, columns=[self.image_key], use_threads=False):
                yield np.ascontiguousarray(self._images(batch[0], start))
                start += len(batch)

    def _images(self, column: Any, start: int) -> Float32Array:
        """Return some images as float32 (n, ieta, iphi, channel), as a view; `start` is the row of the first."""
        if pa.types.is_fixed_size_binary(column.type):
            return self._images_in_bytes(column, start)
        return self._images_in_lists(column, start)

    def _images_in_bytes(self, column: Any, start: int) -> Float32Array:
        if column.null_count:
            row = start + int(np.argmin(column.is_valid().to_numpy(zero_copy_only=False)))
            raise SourceError(f"{self.path}: {self.image_key}[{row}] is missing")
        size, shape = self.spec.sample_bytes, (len(column), *self.spec.image_shape)
        values = np.frombuffer(
            column.buffers()[1], "<f4", offset=column.offset * size, count=len(column) * size // 4
        ).reshape(shape)
        return as_images(self.path, self.image_key, values, start)

    def _images_in_lists(self, column: Any, start: int) -> Float32Array:
        shape = (len(column), *self._list_sizes)
        for depth, size in enumerate(self._list_sizes, 1):
            lengths = pc.list_value_length(column).to_numpy(zero_copy_only=False)  # NaN for a list that is missing
            if not np.all(lengths == size):
                wrong = int(np.argmin(lengths == size))
                row, *rest = (int(i) for i in np.unravel_index(wrong, shape[:depth]))
                index = ", ".join(map(str, (start + row, *rest)))
                raise SourceError(
                    f"{self.path}: {self.image_key}[{index}] has length {lengths[wrong]}, "
                    f"expected nested lists {self._list_sizes}"
                )
            column = column.flatten()
        values = column.to_numpy(zero_copy_only=False).reshape(shape)  # copies only to set NaN for missing values
        return np.moveaxis(as_images(self.path, self.image_key, values, start), 1, -1)


@dataclass(frozen=True)
class _Footer:
    """The footer of a Parquet file, with its metadata.

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


@functools.lru_cache(maxsize=8)
def _read_footer(path: Path, modified: int) -> _Footer:
    """Read a footer, once for each time of modification, because it takes half a kilobyte per row group."""
    metadata = pq.read_metadata(path)
    rows = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
    return _Footer(metadata, metadata.schema.to_arrow_schema(), np.cumsum([0, *rows]))
