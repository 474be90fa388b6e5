"""Parquet source files: a column of images, one of labels, and one for each variable.

A row group may hold one image or thousands; images are decoded a few at a time, so that memory does not depend on its
size. `store.sources.parquet_images` lists the forms that an image may have.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from store.arrays import Float32Array, UInt8Array, VariableArray
from store.datasets import DatasetSpec
from store.errors import SourceError
from store.locations import Url
from store.sources.labels import check_told, no_labels
from store.sources.parquet_columns import check_column, check_label, check_name, read_columns, read_labels
from store.sources.parquet_images import ImageColumn, find_images
from store.sources.parquet_storage import (
    Footer,
    check_pages,
    check_promises,
    find_leaf,
    name_errors,
    open_file,
    page_memory,
    read_chunk,
    read_footer,
)
from store.sources.values import as_simulation, as_stored_weights, as_variable, describe_type

PIECE_BYTES = 4 << 20  # images that `pieces` yields at once
BATCH_BYTES = 1 << 20  # images decoded at once
DECODING = 24  # times the size of a batch: its values as double, with two levels each, in buffers that grow by doubling


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
        Whether a file without labels, or without the weights of the data set, is refused.
    told
        Number of the class of all rows, or None if the labels in the file say it.
    url
        See `Source.url`.

    Attributes
    ----------
    stamp
        See `Source.stamp`.

    Raises
    ------
    SourceError
        If the file is not Parquet, or a column is missing or has the wrong type.
    """

    path: Path
    spec: DatasetSpec
    require_labels: bool = True
    told: int | None = None
    url: Url | None = None
    stamp: int = field(init=False)
    other_files: ClassVar[tuple[Path, ...]] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "stamp", self.path.stat().st_mtime_ns)
        check_name(self.path, self._footer, self.image_key)
        label, weight = self.spec.label_key, self.spec.weight_key
        if label and self.has(label):
            check_label(self.path, self._footer, label, self.spec)
        elif label and self.require_labels and self.told is None:
            raise no_labels(self.path, f"column {label!r}", self._footer.schema.names)
        if weight and (self.has(weight) or self.require_labels):
            check_column(self.path, self._footer, weight)
        for variable in self.spec.variables:
            check_column(self.path, self._footer, variable.key)
        values = math.prod(self.spec.image_shape) if self._images.sizes else 1
        check_promises(self.path, self._footer, self.image_key, values)
        if not self.rows:
            raise SourceError(f"{self.path}: {self.image_key} has no rows")

    @property
    def _footer(self) -> Footer:
        return read_footer(self.path, self.path.stat().st_mtime_ns)

    @property
    def _images(self) -> ImageColumn:
        kind = self._footer.schema.field(self.image_key).type
        return find_images(self.path, self.image_key, kind, self.rows, self.spec)

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
        """See `Source.block`: rows of the largest row group."""
        return int(np.diff(self._footer.first_row).max())

    @cached_property
    def reading_bytes(self) -> int:
        """See `Source.reading_bytes`."""
        size = self.spec.sample_bytes
        decoding = DECODING * max(BATCH_BYTES, size) + page_memory(self.path, self._footer, self.image_key)
        return 2 * max(PIECE_BYTES, size) + decoding

    @cached_property
    def stored_bytes(self) -> int:
        """See `Source.stored_bytes`."""
        leaf = find_leaf(self._footer, self.image_key)
        chunks = (read_chunk(self._footer, group, leaf) for group in range(self._footer.metadata.num_row_groups))
        return sum(chunk.stop - chunk.start for chunk in chunks)

    @property
    def simulated(self) -> str:
        """See `Source.simulated`; a file declares it under the key ``simulation`` of its metadata."""
        declared = (self._footer.metadata.metadata or {}).get(b"simulation", b"")
        return as_simulation(self.path, declared)

    @property
    def note(self) -> str:
        """See `Source.note`."""
        value = self._images.value_type
        if value == pa.float32():
            return ""
        return describe_type(self.path, self.image_key, str(value), rounded=self.spec.rounded)

    @property
    def unread(self) -> tuple[str, ...]:
        """See `Source.unread`."""
        columns = (self.spec.label_key, self.spec.weight_key, *(variable.key for variable in self.spec.variables))
        read = {self.image_key, *columns}
        return tuple(name for name in self._footer.schema.names if name not in read)

    @property
    def labelled(self) -> bool:
        """See `Source.labelled`."""
        return self.told is not None or (self.spec.label_key != "" and self.has(self.spec.label_key))

    def labels(self) -> UInt8Array:
        """See `Source.labels`."""
        key = self.spec.label_key
        if self.told is not None and not (key and self.has(key)):
            return np.full(self.rows, self.told, np.uint8)
        label = read_labels(self.path, self._footer, key, self.spec)
        if self.told is not None:
            check_told(self.path, key, label, self.told, self.spec.classes)
        return label

    def weights(self) -> Float32Array | None:
        """See `Source.weights`."""
        key = self.spec.weight_key
        return None if key is None else as_stored_weights(self.path, key, self.column(key))

    def variables(self) -> dict[str, VariableArray]:
        """See `Source.variables`."""
        columns = read_columns(self.path, self._footer, [variable.key for variable in self.spec.variables])
        return {v.name: as_variable(self.path, v.key, columns[v.key]) for v in self.spec.variables}

    def has(self, key: str) -> bool:
        """See `Source.has`."""
        return key in self._footer.schema.names

    def column(self, key: str) -> npt.NDArray[Any]:
        """See `Source.column`; a missing value becomes NaN."""
        check_column(self.path, self._footer, key)
        return read_columns(self.path, self._footer, [key])[key]

    def read(self, start: int, stop: int) -> Float32Array:
        """See `Source.read`."""
        (images,) = self._parts(stop - start, start, stop)
        return images

    def pieces(self, start: int, stop: int) -> Iterator[Float32Array]:
        """See `Source.pieces`."""
        return self._parts(max(1, PIECE_BYTES // self.spec.sample_bytes), start, stop)

    def scan(self, rows: int) -> Iterator[Float32Array]:
        """See `Source.scan`."""
        return self._parts(rows, 0, self.rows)

    def _parts(self, rows: int, start: int, stop: int) -> Iterator[Float32Array]:
        """Yield the images of rows [start, stop), `rows` at a time."""
        part, filled = np.empty((min(rows, stop - start), *self.spec.image_shape), np.float32), 0
        for images in self._batches(start, stop):
            while len(images):
                taken = images[: len(part) - filled]
                part[filled : filled + len(taken)] = taken
                filled, images = filled + len(taken), images[len(taken) :]
                if filled == len(part):
                    yield part
                    start += filled
                    part, filled = np.empty((min(rows, stop - start), *self.spec.image_shape), np.float32), 0

    def _batches(self, start: int, stop: int) -> Iterator[Float32Array]:
        """Yield the images of rows [start, stop) as they are decoded, as views."""
        footer, key, form = self._footer, self.image_key, self._images
        batch_rows = max(1, BATCH_BYTES // self.spec.sample_bytes)
        groups = range(*np.searchsorted(footer.first_row, [start, stop - 1], side="right") - [1, 0])
        check_pages(self.path, footer, [key], groups)
        with (
            name_errors(self.path, f"rows {start} to {stop - 1} cannot be read"),
            open_file(self.path, footer.metadata) as file,
        ):
            for group in groups:
                row, after = footer.first_row[group : group + 2].tolist()
                for batch in file.iter_batches(batch_rows, row_groups=[group], columns=[key], use_threads=False):
                    begin, end = max(start, row), min(stop, row + len(batch), after)
                    if begin < end:
                        yield form.images(batch.column(key)[begin - row : end - row], begin)
                    row += len(batch)
                    if row >= stop:
                        break
                if row < min(stop, after):
                    raise SourceError(
                        f"{self.path}: {key} has no row {row}, but row group {group} promises rows up to {after - 1}"
                    )
