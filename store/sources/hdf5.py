"""HDF5 source files: a dataset of images, one of labels, and one for each variable."""

import contextlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from store.arrays import Float32Array, UInt8Array, VariableArray
from store.blosc import GROUP
from store.buffers import BufferPool
from store.datasets import DatasetSpec
from store.errors import SourceError
from store.locations import Url
from store.sources.hdf5_alone import check_alone
from store.sources.hdf5_chunks import Chunk, new_memory, open_chunk
from store.sources.hdf5_storage import SIMULATION, check_storage, find_dataset, has_link, list_unread, open_file, opened
from store.sources.image_forms import arrange, check_shape, is_channel_first
from store.sources.labels import PIECE_VALUES, as_classes, check_label_shape, check_told, no_labels
from store.sources.memory import check_memory, check_rows
from store.sources.values import as_images, as_simulation, as_stored_weights, as_variable, describe_type

CONTIGUOUS_BLOCK = 8 << 20  # bytes read at once from a dataset without chunks
NUMBERS = "fiub"  # kinds of dtypes
CONVERTING = 9  # bytes per value for its float32, that of the piece yielded last, and whether it is exact
PIECE_BYTES = 2 << 20  # images that are yielded at once
CHUNK_CACHE = 256 << 20  # bytes; a chunk larger than what `scan` yields at once is still decompressed only once


@dataclass(frozen=True)
class Hdf5Source:
    """An HDF5 file with datasets of images, labels and variables; see `store.sources.source.Source`.

    Parameters
    ----------
    path
        The file.
    spec
        Names and shapes of the datasets to expect.
    require_labels
        Whether a file without labels, or without the weights of the data set, is refused.
    told
        Number of the class of all rows, or None if the labels in the file say it.
    url
        See `Source.url`.

    Attributes
    ----------
    stamp, other_files
        See `Source`.

    Raises
    ------
    SourceError
        If the file is missing or is not HDF5, or a dataset is missing or incomplete, has the wrong shape or type, or
        has another number of rows than the images.
    """

    path: Path
    spec: DatasetSpec
    require_labels: bool = True
    told: int | None = None
    url: Url | None = None
    stamp: int = field(init=False)
    other_files: tuple[Path, ...] = field(init=False, default=())

    def __post_init__(self) -> None:
        with opened(self.path) as file:
            if self.url is not None:
                check_alone(file, self.url, self._keys)
            images = find_dataset(file, self.path, self.image_key)
            check_shape(self.path, self.image_key, images.shape, self.spec, self._channel_first)
            if images.dtype.kind not in NUMBERS:
                raise SourceError(f"{self.path}: {self.image_key} has dtype {images.dtype}, expected numbers")
            if not len(images):
                raise SourceError(f"{self.path}: {self.image_key} has no rows")
            others = check_storage(images, self.path)
            check_rows(self.path, len(images))
            check_memory(self.path, f"chunks of {self.block:,} images", self.block * self.spec.sample_bytes)
            for dataset in self._column_datasets(file):
                others |= check_storage(dataset, self.path)
        object.__setattr__(self, "stamp", self.path.stat().st_mtime_ns)
        own = self.path.absolute()
        object.__setattr__(self, "other_files", tuple(sorted({file.absolute() for file in others} - {own})))

    @property
    def _keys(self) -> tuple[str, ...]:
        """Names of everything that is read, whether the file has it or not."""
        columns = (self.spec.label_key, self.spec.weight_key, *(variable.key for variable in self.spec.variables))
        return (self.image_key, *filter(None, columns))

    @property
    def _channel_first(self) -> bool:
        return is_channel_first(self.spec)

    def _arranged(self, stored: npt.NDArray[Any], start: int) -> Float32Array:
        """Return images as they are in the file, from row `start`, as float32 (n, ieta, iphi, channel)."""
        images = as_images(self.path, self.image_key, stored, start, rounded=self.spec.rounded)
        return np.ascontiguousarray(arrange(images, self.spec, self._channel_first))

    def _column_datasets(self, file: h5py.File) -> Iterator[h5py.Dataset]:
        """Yield the datasets that are read besides the images, after checking that they fit the images."""
        label, weight = self.spec.label_key, self.spec.weight_key
        if label and has_link(file, label):
            yield self._label_dataset(file)
        elif label and self.require_labels and self.told is None:
            raise no_labels(self.path, f"dataset {label!r}", file)
        if weight and (has_link(file, weight) or self.require_labels):
            yield self._column_dataset(file, weight)
        yield from (self._column_dataset(file, variable.key) for variable in self.spec.variables)

    def _column_dataset(self, file: h5py.File, key: str) -> h5py.Dataset:
        """Return a dataset of one number per image, (rows,) or (rows, 1)."""
        column, rows = find_dataset(file, self.path, key), len(file[self.image_key])
        if column.shape not in ((rows,), (rows, 1)):
            raise SourceError(f"{self.path}: {self.image_key} has {rows} rows but {key} has shape {column.shape}")
        if column.dtype.kind not in NUMBERS:
            raise SourceError(f"{self.path}: {key} has dtype {column.dtype}, expected numbers")
        return column

    def _label_dataset(self, file: h5py.File) -> h5py.Dataset:
        key, rows = self.spec.label_key, len(file[self.image_key])
        label = find_dataset(file, self.path, key)
        check_label_shape(self.path, f"{self.image_key} has {rows} rows but {key}", label.shape, rows, self.spec)
        is_text = h5py.check_string_dtype(label.dtype) is not None and label.shape[1:] in ((), (1,))
        if label.dtype.kind not in NUMBERS and not is_text:
            raise SourceError(f"{self.path}: {key} has dtype {label.dtype}, expected numbers or names of classes")
        return label

    def column(self, key: str) -> npt.NDArray[Any]:
        """See `Source.column`."""
        with opened(self.path) as file:
            column = self._column_dataset(file, key)
            check_storage(column, self.path)
            return np.asarray(column).reshape(-1)

    def has(self, key: str) -> bool:
        """See `Source.has`."""
        with opened(self.path) as file:
            return has_link(file, key)

    @contextlib.contextmanager
    def _name_rows_in_errors(self, start: int, stop: int) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # of a damaged file, h5py raises any of a dozen types
            raise OSError(f"{self.path}: rows {start} to {stop - 1} cannot be read ({error})") from error

    @cached_property
    def image_key(self) -> str:
        """Name of the images in this file."""
        with opened(self.path) as file:
            return next((key for key in self.spec.image_keys if has_link(file, key)), self.spec.image_keys[0])

    @cached_property
    def _dtype(self) -> np.dtype[Any]:
        with opened(self.path) as file:
            dtype: np.dtype[Any] = file[self.image_key].dtype
        return dtype

    @cached_property
    def rows(self) -> int:
        """See `Source.rows`."""
        with opened(self.path) as file:
            return len(file[self.image_key])

    @cached_property
    def block(self) -> int:
        """See `Source.block`: images per HDF5 chunk, or in about 8 MiB of a dataset without chunks."""
        with opened(self.path) as file:
            chunks = file[self.image_key].chunks
        return int(chunks[0]) if chunks else max(1, CONTIGUOUS_BLOCK // self.spec.sample_bytes)

    @cached_property
    def stored_bytes(self) -> int:
        """See `Source.stored_bytes`."""
        with opened(self.path) as file:
            return int(file[self.image_key].id.get_storage_size())

    @property
    def simulated(self) -> str:
        """See `Source.simulated`; a file declares it in its attribute ``simulation``."""
        with opened(self.path) as file:
            return as_simulation(self.path, _attribute(file, SIMULATION))

    @property
    def note(self) -> str:
        """See `Source.note`."""
        if self._dtype == np.dtype("<f4"):
            return ""
        return describe_type(self.path, self.image_key, str(self._dtype), rounded=self.spec.rounded)

    @property
    def unread(self) -> tuple[str, ...]:
        """See `Source.unread`."""
        with opened(self.path) as file:
            return tuple(list_unread(file, self._keys))

    @property
    def labelled(self) -> bool:
        """See `Source.labelled`."""
        return self.told is not None or (self.spec.label_key != "" and self.has(self.spec.label_key))

    def labels(self) -> UInt8Array:
        """See `Source.labels`."""
        key = self.spec.label_key
        if self.told is not None and not (key and self.has(key)):
            return np.full(self.rows, self.told, np.uint8)
        with opened(self.path) as file:
            stored = self._label_dataset(file)
            check_storage(stored, self.path)
            rows = max(1, PIECE_VALUES // math.prod(stored.shape[1:]))
            starts = range(0, self.rows, rows)
            label = np.concatenate(
                [as_classes(self.path, key, stored[start : start + rows], self.spec, start) for start in starts]
            )
        if self.told is not None:
            check_told(self.path, key, label, self.told, self.spec.classes)
        return label

    def weights(self) -> Float32Array | None:
        """See `Source.weights`."""
        key = self.spec.weight_key
        return None if key is None else as_stored_weights(self.path, key, self.column(key))

    def variables(self) -> dict[str, VariableArray]:
        """See `Source.variables`."""
        return {v.name: as_variable(self.path, v.key, self.column(v.key)) for v in self.spec.variables}

    @property
    def reading_bytes(self) -> int:
        """See `Source.reading_bytes`: a block as stored, decompressed, and with bytes and axes in the store's order."""
        size, converting = self._dtype.itemsize, 0 if self._dtype == np.dtype("<f4") else CONVERTING
        if self._dtype.kind in "iu" and size > 2:
            converting += size + 4  # to compare integers with what float32 makes of them
        moving = 4 if self._channel_first and self.spec.image_shape[2] > 1 else 0
        return (3 * size + converting + moving) * self.block * self.spec.sample_bytes // 4

    def pieces(self, start: int, stop: int) -> Iterator[Float32Array]:
        """See `Source.pieces`: a block is decompressed as a whole, and converted in parts that fit the cache."""
        rows = GROUP * max(1, PIECE_BYTES // (GROUP * self.spec.sample_bytes))
        pool = BufferPool((min(rows, self.block) * self._dtype.itemsize * self.spec.sample_bytes // 16 + 1,), keep=2)
        with self._open_images(start, stop) as dataset:
            for first in range(start, stop, self.block):
                last = min(stop, first + self.block)
                with self._open_block(dataset, first, last, lambda size: pool.take().view(np.uint8)[:size]) as block:
                    for row in range(first, last, rows):
                        yield self._arranged(block[row - first : min(last, row + rows) - first], row)

    def read(self, start: int, stop: int) -> Float32Array:
        """See `Source.read`."""
        with self._open_images(start, stop) as dataset, self._open_block(dataset, start, stop, new_memory) as block:
            return self._arranged(block[: stop - start], start)

    @contextlib.contextmanager
    def _open_images(self, start: int, stop: int) -> Iterator[h5py.Dataset]:
        with contextlib.ExitStack() as stack:
            with self._name_rows_in_errors(start, stop):
                dataset = stack.enter_context(open_file(self.path))[self.image_key]
            yield dataset

    @contextlib.contextmanager
    def _open_block(
        self, dataset: h5py.Dataset, start: int, stop: int, allocate: Callable[[int], UInt8Array]
    ) -> "Iterator[Chunk | npt.NDArray[Any]]":
        """Yield rows [start, stop) as they are in the file, to be taken in slices before the end of the block."""
        with contextlib.ExitStack() as stack:
            with self._name_rows_in_errors(start, stop):
                chunk = stack.enter_context(open_chunk(dataset, start, stop, allocate))
                stored = dataset[start:stop] if chunk is None else chunk
            yield stored

    def scan(self, rows: int) -> Iterator[Float32Array]:
        """See `Source.scan`; a chunk stays in HDF5's cache until all of its rows are read, up to `CHUNK_CACHE`."""
        with open_file(self.path, rdcc_nbytes=CHUNK_CACHE) as file:
            dataset = file[self.image_key]
            for start in range(0, self.rows, rows):
                stop = min(self.rows, start + rows)
                with self._name_rows_in_errors(start, stop):
                    stored = dataset[start:stop]
                yield self._arranged(stored, start)


def _attribute(file: h5py.File, name: str) -> Any:
    """Return the value of an attribute of the file, or an empty text if it has none or the attribute has no value."""
    value = file.attrs.get(name, "")
    return "" if isinstance(value, h5py.Empty) else value
