"""HDF5 source files: a dataset of images, one of labels, and one for each variable.

Chunks of whole images that are compressed with gzip, with or without the shuffle filter, are read raw and decompressed
outside HDF5's global lock, with a faster library; h5py reads everything else.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import deflate
import h5py
import numpy as np
import numpy.typing as npt
from h5py._objects import phil  # HDF5's global lock, which h5py before 3.16 forgets to take in read_direct_chunk

from store.arrays import Float32Array, Float64Array, UInt8Array
from store.compiled.source_values import unshuffle
from store.datasets import DatasetSpec
from store.errors import SourceError
from store.sources.hdf5_storage import SIMULATION, check_storage, find_dataset, has_link, open_file, opened
from store.sources.memory import check_memory, check_rows
from store.sources.values import WEIGHT_KEY, as_classes, as_images, as_simulation, as_variable, as_weights

CONTIGUOUS_BLOCK = 8 << 20  # bytes read at once from a dataset without chunks
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
        Whether a file without labels is refused.

    Attributes
    ----------
    other_files
        See `Source.other_files`.

    Raises
    ------
    SourceError
        If the file is missing or is not HDF5, or a dataset is missing or incomplete, has the wrong shape or type, or
        has another number of rows than the images.
    """

    path: Path
    spec: DatasetSpec
    require_labels: bool = True
    other_files: tuple[Path, ...] = field(init=False, default=())

    def __post_init__(self) -> None:
        with opened(self.path) as file:
            images = find_dataset(file, self.path, self.image_key)
            if images.shape[1:] not in self._row_shapes:
                expected = " or ".join(map(str, self._row_shapes))
                raise SourceError(
                    f"{self.path}: {self.image_key} has shape {images.shape}, expected rows of {expected}"
                )
            if images.dtype.kind != "f":
                raise SourceError(f"{self.path}: {self.image_key} has dtype {images.dtype}, expected a float type")
            if not len(images):
                raise SourceError(f"{self.path}: {self.image_key} has no rows")
            others = check_storage(images, self.path)
            check_rows(self.path, len(images))
            check_memory(self.path, f"chunks of {self.block:,} images", self.block * self.spec.sample_bytes)
            labels = [self.spec.label_key] if self.require_labels or self.labelled else []
            for key in (*labels, *(variable.key for variable in self.spec.variables)):
                others |= check_storage(self._column_dataset(file, key), self.path)
        own = self.path.absolute()
        object.__setattr__(self, "other_files", tuple(sorted({file.absolute() for file in others} - {own})))

    @property
    def _row_shapes(self) -> list[tuple[int, ...]]:
        """Shapes that an image may have in the file: that of the data set; one channel needs no axis."""
        ieta, iphi, channel = self.spec.image_shape
        first = self.spec.layout == "channel-first"
        return [(channel, ieta, iphi) if first else (ieta, iphi, channel), *([(ieta, iphi)] if channel == 1 else [])]

    def _arranged(self, stored: npt.NDArray[Any], start: int) -> Float32Array:
        """Return images as they are in the file, from row `start`, as float32 (n, ieta, iphi, channel)."""
        images = as_images(self.path, self.image_key, stored, start)
        if self.spec.layout == "channel-first" and images.ndim == 4:
            images = np.ascontiguousarray(np.moveaxis(images, 1, -1))
        return images.reshape(len(images), *self.spec.image_shape)

    def _column_dataset(self, file: h5py.File, key: str) -> h5py.Dataset:
        """Return a dataset of one number per image, (rows,) or (rows, 1)."""
        column, rows = find_dataset(file, self.path, key), len(file[self.image_key])
        if column.shape not in ((rows,), (rows, 1)):
            raise SourceError(f"{self.path}: {self.image_key} has {rows} rows but {key} has shape {column.shape}")
        if column.dtype.kind not in "fiub":
            raise SourceError(f"{self.path}: {key} has dtype {column.dtype}, expected numbers")
        return column

    def _column(self, key: str) -> npt.NDArray[Any]:
        with opened(self.path) as file:
            column = self._column_dataset(file, key)
            check_storage(column, self.path)
            return np.asarray(column).reshape(-1)

    def _has(self, key: str) -> bool:
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
        with opened(self.path) as file:
            dtype = file[self.image_key].dtype
        if dtype == np.dtype("<f4"):
            return ""
        return f"{self.path}: {self.image_key} has dtype {dtype.str}; it is stored as float32 without loss"

    @property
    def unread(self) -> tuple[str, ...]:
        """See `Source.unread`."""
        read = {self.image_key, self.spec.label_key, *(variable.key for variable in self.spec.variables)}
        with opened(self.path) as file:
            return tuple(name for name in file if name not in read)

    @property
    def labelled(self) -> bool:
        """See `Source.labelled`."""
        return self._has(self.spec.label_key)

    @property
    def weighted(self) -> bool:
        """See `Source.weighted`."""
        return self._has(WEIGHT_KEY)

    def labels(self) -> UInt8Array:
        """See `Source.labels`."""
        key = self.spec.label_key
        return as_classes(self.path, key, self._column(key), self.spec.classes)

    def weights(self) -> Float64Array:
        """See `Source.weights`."""
        return as_weights(self.path, WEIGHT_KEY, self._column(WEIGHT_KEY))

    def variables(self) -> dict[str, Float32Array]:
        """See `Source.variables`."""
        return {v.name: as_variable(self.path, v.key, self._column(v.key)) for v in self.spec.variables}

    @property
    def reading_bytes(self) -> int:
        """See `Source.reading_bytes`: a block as stored, decompressed, and with bytes and axes in the store's order."""
        return (4 if self.spec.layout == "channel-first" else 3) * self.block * self.spec.sample_bytes

    def pieces(self, start: int, stop: int) -> Iterator[Float32Array]:
        """See `Source.pieces`: block after block."""
        for first in range(start, stop, self.block):
            yield self.read(first, min(stop, first + self.block))

    def read(self, start: int, stop: int) -> Float32Array:
        """See `Source.read`."""
        with self._name_rows_in_errors(start, stop), open_file(self.path) as file:
            dataset = file[self.image_key]
            stored = _read_chunk(dataset, start, stop)
            if stored is None:
                stored = dataset[start:stop]
        return self._arranged(stored, start)

    def scan(self, rows: int) -> Iterator[Float32Array]:
        """See `Source.scan`; a chunk stays in HDF5's cache until all of its rows are read, up to `CHUNK_CACHE`."""
        with open_file(self.path, rdcc_nbytes=CHUNK_CACHE) as file:
            dataset = file[self.image_key]
            for start in range(0, self.rows, rows):
                stop = min(self.rows, start + rows)
                with self._name_rows_in_errors(start, stop):
                    stored = dataset[start:stop]
                yield self._arranged(stored, start)


def _read_chunk(dataset: h5py.Dataset, start: int, stop: int) -> npt.NDArray[Any] | None:
    """Return rows that lie in one chunk, decompressed without HDF5's help, or None if h5py has to read them."""
    chunks, filters = dataset.chunks, _filters(dataset)
    if not chunks or chunks[1:] != dataset.shape[1:] or start % chunks[0] or stop - start > chunks[0]:
        return None
    if filters not in (("deflate",), ("shuffle", "deflate")) or dataset.dtype != np.dtype("<f4"):
        return None
    origin = (start,) + (0,) * (dataset.ndim - 1)
    chunk = dataset.id.get_chunk_info_by_coord(origin)
    if chunk.filter_mask or not chunk.size:  # stored without its filters, or never written to the file
        return None
    with phil:
        _, packed = dataset.id.read_direct_chunk(origin)
    size = 4 * int(np.prod(chunks))
    data = np.frombuffer(deflate.zlib_decompress(packed, size), np.uint8)
    if "shuffle" in filters:
        values = np.empty(size // 4, np.uint32)
        unshuffle(data, values)
        data = values.view(np.uint8)
    return data.view("<f4").reshape(chunks)[: stop - start]


def _attribute(file: h5py.File, name: str) -> Any:
    """Return the value of an attribute of the file, or an empty text if it has none or the attribute has no value."""
    value = file.attrs.get(name, "")
    return "" if isinstance(value, h5py.Empty) else value


def _filters(dataset: h5py.Dataset) -> tuple[str, ...]:
    """Return the names of a dataset's filters, in the order in which HDF5 applied them."""
    names = {h5py.h5z.FILTER_DEFLATE: "deflate", h5py.h5z.FILTER_SHUFFLE: "shuffle"}
    properties = dataset.id.get_create_plist()
    codes = (properties.get_filter(i)[0] for i in range(properties.get_nfilters()))
    return tuple(names.get(code, str(code)) for code in codes)
