"""HDF5 files as the data sets' authors wrote them: one data set of images, one of labels, one for each variable.

Chunks that are whole images under gzip, with or without the shuffle filter, are taken raw and decompressed here,
outside HDF5's global lock and by a faster library; everything else goes through h5py.
"""

import contextlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import deflate
import h5py
import numba
import numpy as np
import numpy.typing as npt
from h5py._objects import phil  # HDF5's global lock, which h5py before 3.16 forgets to take in read_direct_chunk

from store.datasets import DatasetSpec
from store.errors import SourceError
from store.sources.values import as_classes, as_images, as_simulation, as_variable

with contextlib.suppress(ImportError):
    import hdf5plugin  # noqa: F401  where it is installed, h5py then knows its filters (blosc, zstd, ...)

CONTIGUOUS_BLOCK = 8 << 20  # bytes read at once from a data set without chunks


@dataclass(frozen=True)
class Hdf5Source:
    """An HDF5 file with data sets of images, labels and variables; see `store.sources.source.Source`.

    Parameters
    ----------
    path
        The file.
    description
        Which data sets and shapes to expect.

    Raises
    ------
    SourceError
        If the file is missing, is not HDF5, or its data sets are missing, of another shape or type, or of unequal
        lengths.
    """

    path: Path
    spec: DatasetSpec

    def __post_init__(self) -> None:
        key, expected = self.image_key, self.spec.image_shape
        with self._open() as file:
            images = self._member(file, key)
            if images.ndim != 4 or images.shape[1:] != expected:
                raise SourceError(f"{self.path}: {key} has shape {images.shape}, expected rows of {expected}")
            if images.dtype.kind != "f":
                raise SourceError(f"{self.path}: {key} has dtype {images.dtype}, expected a float type")
            for name in (self.spec.label_key, *(variable.name for variable in self.spec.variables)):
                column = self._member(file, name)
                if column.shape not in ((len(images),), (len(images), 1)):
                    raise SourceError(f"{self.path}: {key} has {len(images)} rows but {name} has shape {column.shape}")
                if column.dtype.kind not in "fiub":
                    raise SourceError(f"{self.path}: {name} has dtype {column.dtype}, expected numbers")
            if not len(images):
                raise SourceError(f"{self.path}: {key} has no rows")

    def _open(self) -> h5py.File:
        try:
            return h5py.File(self.path, "r")
        except OSError as error:
            raise SourceError(f"{self.path}: not a readable HDF5 file ({error})") from None

    def _member(self, file: h5py.File, key: str) -> h5py.Dataset:
        found = file.get(key)
        if not isinstance(found, h5py.Dataset):
            names = ", ".join(map(repr, file)) or "nothing"
            raise SourceError(f"{self.path}: no data set {key!r}; the file has {names}")
        return found

    @cached_property
    def image_key(self) -> str:
        """Name of the images in this file."""
        with self._open() as file:
            return next((key for key in self.spec.image_keys if key in file), self.spec.image_keys[0])

    @cached_property
    def rows(self) -> int:
        """See `Source.rows`."""
        with self._open() as file:
            return len(file[self.image_key])

    @cached_property
    def block(self) -> int:
        """See `Source.block`: rows of an HDF5 chunk, or about 8 MiB of a data set without chunks."""
        with self._open() as file:
            chunks = file[self.image_key].chunks
        return int(chunks[0]) if chunks else max(1, CONTIGUOUS_BLOCK // self.spec.sample_bytes)

    @cached_property
    def stored_bytes(self) -> int:
        """See `Source.stored_bytes`."""
        with self._open() as file:
            return int(file[self.image_key].id.get_storage_size())

    @property
    def simulated(self) -> str:
        """See `Source.simulated`; a file declares it in its attribute ``simulation``."""
        with self._open() as file:
            return as_simulation(self.path, str(file.attrs.get("simulation", "")))

    @property
    def note(self) -> str:
        """See `Source.note`."""
        with self._open() as file:
            dtype = file[self.image_key].dtype
        return (
            "" if dtype == np.dtype("<f4") else f"{self.path}: {self.image_key} is {dtype.str}, stored as <f4, exactly"
        )

    def labels(self) -> npt.NDArray[np.uint8]:
        """See `Source.labels`."""
        key = self.spec.label_key
        return as_classes(self.path, key, self._column(key), self.spec.classes)

    def variables(self) -> dict[str, npt.NDArray[np.float32]]:
        """See `Source.variables`."""
        names = [variable.name for variable in self.spec.variables]
        return {name: as_variable(self.path, name, self._column(name)) for name in names}

    def _column(self, key: str) -> npt.NDArray[Any]:
        with self._open() as file:
            return np.asarray(file[key]).reshape(-1)

    def read(self, start: int, stop: int) -> npt.NDArray[np.float32]:
        """See `Source.read`."""
        try:
            with h5py.File(self.path, "r") as file:
                dataset = file[self.image_key]
                stored = _read_chunk(dataset, start, stop)
                if stored is None:
                    stored = dataset[start:stop]
        except (OSError, RuntimeError, KeyError, ValueError, deflate.DeflateError) as error:  # as h5py happens to raise
            raise OSError(f"{self.path}: rows {start} to {stop - 1} cannot be read ({error})") from error
        return as_images(self.path, self.image_key, stored, start)


def _read_chunk(dataset: h5py.Dataset, start: int, stop: int) -> npt.NDArray[Any] | None:
    """Decompress one whole chunk without HDF5's help, or return None where that is not possible."""
    chunks, filters = dataset.chunks, _filters(dataset)
    if not chunks or chunks[1:] != dataset.shape[1:] or start % chunks[0] or stop - start > chunks[0]:
        return None
    if filters not in (("deflate",), ("shuffle", "deflate")) or dataset.dtype != np.dtype("<f4"):
        return None
    origin = (start,) + (0,) * (dataset.ndim - 1)
    chunk = dataset.id.get_chunk_info_by_coord(origin)
    if chunk.filter_mask or not chunk.size:  # stored without its filters, or never written
        return None
    with phil:
        _, packed = dataset.id.read_direct_chunk(origin)
    size = 4 * int(np.prod(chunks))
    data = np.frombuffer(deflate.zlib_decompress(packed, size), np.uint8)
    if "shuffle" in filters:
        joined = np.empty(size // 4, np.uint32)
        _unshuffle(data, joined)
        data = joined.view(np.uint8)
    return data.view("<f4").reshape(chunks)[: stop - start]


def _filters(dataset: h5py.Dataset) -> tuple[str, ...]:
    names = {h5py.h5z.FILTER_DEFLATE: "deflate", h5py.h5z.FILTER_SHUFFLE: "shuffle"}
    properties = dataset.id.get_create_plist()
    codes = (properties.get_filter(i)[0] for i in range(properties.get_nfilters()))
    return tuple(names.get(code, str(code)) for code in codes)


@numba.njit(cache=True, nogil=True)
def _unshuffle(planes, out):
    """Join the four byte planes that HDF5's shuffle filter makes of 32-bit values."""
    n = out.size
    for i in range(n):
        low = np.uint32(planes[i]) | np.uint32(planes[n + i]) << np.uint32(8)
        high = np.uint32(planes[2 * n + i]) << np.uint32(16) | np.uint32(planes[3 * n + i]) << np.uint32(24)
        out[i] = low | high
