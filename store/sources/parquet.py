"""Parquet files: a column of images as nested lists (channel, ieta, iphi), one of labels, one for each variable.

A row group may hold one image or thousands. Images go from Arrow's buffers to their place a few at a time.
"""

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from store.datasets import DatasetSpec
from store.errors import SourceError
from store.sources.values import as_classes, as_images, as_simulation, as_variable

BLOCK_BYTES = 8 << 20  # images read in one call, if row groups are smaller
BATCH_BYTES = 2 << 20  # images decoded at once
BUFFER_BYTES = 1 << 20  # of a file read at once, however large a row group is


@dataclass(frozen=True)
class ParquetSource:
    """A Parquet file with columns of images, labels and variables; see `store.sources.source.Source`.

    Parameters
    ----------
    path
        The file.
    description
        Which columns and shapes to expect.

    Raises
    ------
    SourceError
        If the file is not Parquet, or its columns are missing or of another type.
    """

    path: Path
    spec: DatasetSpec

    def __post_init__(self) -> None:
        try:
            schema = self._footer.schema
        except (pa.ArrowException, OSError) as error:
            raise SourceError(f"{self.path}: not a readable Parquet file ({error})") from None
        columns = (self.spec.label_key, *(variable.name for variable in self.spec.variables))
        for name in (self.image_key, *columns):
            if name not in schema.names:
                names = ", ".join(map(repr, schema.names)) or "nothing"
                raise SourceError(f"{self.path}: no column {name!r}; the file has {names}")
        for name in columns:
            found = schema.field(name).type
            if not (pa.types.is_floating(found) or pa.types.is_integer(found) or pa.types.is_boolean(found)):
                raise SourceError(f"{self.path}: {name} has type {found}, expected numbers")
        if self._value_type not in (pa.float32(), pa.float64()):
            found = schema.field(self.image_key).type
            raise SourceError(
                f"{self.path}: {self.image_key} has type {found}, expected float or double in three lists"
            )
        if not self.rows:
            raise SourceError(f"{self.path}: {self.image_key} has no rows")

    @property
    def _footer(self) -> "_Footer":
        return _read_footer(self.path, self.path.stat().st_mtime_ns)

    @property
    def _list_sizes(self) -> tuple[int, int, int]:
        """Sizes of the nested lists of an image, (channel, ieta, iphi)."""
        ieta, iphi, channel = self.spec.image_shape
        return channel, ieta, iphi

    @property
    def _value_type(self) -> Any:
        """Arrow's type of the values inside three nested lists, or None if there are fewer."""
        value = self._footer.schema.field(self.image_key).type
        for _ in self._list_sizes:
            value = getattr(value, "value_type", None)
        return value

    @contextmanager
    def _reading(self, what: str) -> Iterator[pq.ParquetFile]:
        """Open the file, and say what it was that cannot be read."""
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
        return int(self._footer.first[-1])

    @cached_property
    def block(self) -> int:
        """See `Source.block`: rows of the largest row group, or of as many as have about 8 MiB of images."""
        largest = int(np.diff(self._footer.first).max())
        return largest * max(1, BLOCK_BYTES // (largest * self.spec.sample_bytes))

    @cached_property
    def stored_bytes(self) -> int:
        """See `Source.stored_bytes`."""
        metadata = self._footer.metadata
        paths = [metadata.schema.column(leaf).path for leaf in range(metadata.num_columns)]
        leaf = next(at for at, path in enumerate(paths) if path.split(".")[0] == self.image_key)
        groups = map(metadata.row_group, range(metadata.num_row_groups))
        return sum(group.column(leaf).total_compressed_size for group in groups)

    @property
    def simulated(self) -> str:
        """See `Source.simulated`; a file declares it under the key ``simulation`` of its metadata."""
        declared = (self._footer.metadata.metadata or {}).get(b"simulation", b"")
        return as_simulation(self.path, declared.decode())

    @property
    def note(self) -> str:
        """See `Source.note`."""
        value = self._value_type
        return "" if value == pa.float32() else f"{self.path}: {self.image_key} is {value}, stored as <f4, exactly"

    @cached_property
    def _columns(self) -> dict[str, npt.NDArray[Any]]:
        names = [self.spec.label_key, *(variable.name for variable in self.spec.variables)]
        with self._reading("labels and variables") as file:
            table = file.read(names, use_threads=False)
        return {name: table[name].to_numpy() for name in names}

    def labels(self) -> npt.NDArray[np.uint8]:
        """See `Source.labels`."""
        key = self.spec.label_key
        return as_classes(self.path, key, self._columns[key], self.spec.classes)

    def variables(self) -> dict[str, npt.NDArray[np.float32]]:
        """See `Source.variables`."""
        names = [variable.name for variable in self.spec.variables]
        return {name: as_variable(self.path, name, self._columns[name]) for name in names}

    def read(self, start: int, stop: int) -> npt.NDArray[np.float32]:
        """See `Source.read`."""
        images = np.empty((stop - start, *self.spec.image_shape), np.float32)
        step, key = max(1, BATCH_BYTES // self.spec.sample_bytes), [self.image_key]
        border = self._footer.first
        groups = range(*np.searchsorted(border, [start, stop - 1], side="right") - [1, 0])
        with self._reading(f"rows {start} to {stop - 1}") as file:
            for group in groups:
                at = int(border[group])
                for batch in file.iter_batches(step, row_groups=[group], columns=key, use_threads=False):
                    begin, end = max(start, at), min(stop, at + len(batch))
                    if begin < end:
                        images[begin - start : end - start] = self._images(batch[0][begin - at : end - at], begin)
                    at += len(batch)
        return images

    def _images(self, column: Any, start: int) -> npt.NDArray[np.float32]:
        """Return a few images as float32 (n, ieta, iphi, channel), a view; `start` is the row of the first."""
        shape = (len(column), *self._list_sizes)
        for depth, size in enumerate(self._list_sizes, 1):
            lengths = pc.list_value_length(column).to_numpy(zero_copy_only=False)  # NaN for a list that is missing
            if not np.all(lengths == size):
                at = int(np.argmin(lengths == size))
                row, *rest = (int(i) for i in np.unravel_index(at, shape[:depth]))
                place = ", ".join(map(str, (start + row, *rest)))
                raise SourceError(
                    f"{self.path}: {self.image_key}[{place}] has length {lengths[at]}, "
                    f"expected nested lists {self._list_sizes}"
                )
            column = column.flatten()
        values = column.to_numpy(zero_copy_only=False).reshape(shape)  # copies only to set NaN for what is missing
        return np.moveaxis(as_images(self.path, self.image_key, values, start), 1, -1)


@dataclass(frozen=True)
class _Footer:
    """What the end of a Parquet file says.

    Attributes
    ----------
    metadata, schema
        pyarrow's.
    first
        int64 (row groups + 1,), first row of each group and, last, the number of rows.
    """

    metadata: Any
    schema: Any
    first: npt.NDArray[np.int64]


@functools.lru_cache(maxsize=8)
def _read_footer(path: Path, changed: int) -> _Footer:
    """Read a footer once: it has half a kilobyte for each row group. `changed` is when the file was."""
    metadata = pq.read_metadata(path)
    rows = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
    return _Footer(metadata, metadata.schema.to_arrow_schema(), np.cumsum([0, *rows]))
