"""Chunks of whole images, read raw and decompressed outside HDF5's global lock, with a faster library."""

import math
from types import TracebackType
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
from h5py._objects import phil  # HDF5's global lock, which h5py before 3.16 forgets to take in read_direct_chunk

from store.compiled.source_values import unshuffle
from store.sources.inflate import give_back, inflate, take_memory

SIZES = (1, 2, 4, 8)  # bytes of a number


class Chunk:
    """A chunk of a dataset, decompressed, whose rows can be had until the end of the ``with`` block.

    Parameters
    ----------
    packed
        The chunk as it is in the file: zlib data.
    shape
        Shape of the chunk.
    dtype
        Type of its numbers.
    shuffled
        Whether HDF5's shuffle filter was applied: first the first byte of all numbers, then the second, and so on.

    Raises
    ------
    ValueError
        If the data are damaged.
    """

    def __init__(self, packed: bytes, shape: tuple[int, ...], dtype: np.dtype[Any], *, shuffled: bool) -> None:
        self._shape, self._dtype, self._shuffled = shape, dtype, shuffled
        self._data = take_memory(dtype.itemsize * math.prod(shape))
        inflate(packed, self._data)

    def __enter__(self) -> "Chunk":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        give_back(self._data)

    def __getitem__(self, rows: slice) -> npt.NDArray[Any]:
        """Return a copy of consecutive rows, (n, ...), in the dataset's own type."""
        start, stop, _ = rows.indices(self._shape[0])
        size, values = self._dtype.itemsize, math.prod(self._shape[1:])
        first, count = start * values, (stop - start) * values
        if not self._shuffled or size == 1:
            joined = self._data[first * size : (first + count) * size].copy()
        elif size == 4:
            joined = np.empty(4 * count, np.uint8)
            unshuffle(self._data, first, joined.view(np.uint32))
        else:
            planes = self._data.reshape(size, -1)[:, first : first + count]
            joined = np.ascontiguousarray(planes.T).reshape(-1)
        stored: npt.NDArray[Any] = joined.view(self._dtype).reshape(stop - start, *self._shape[1:])
        return stored


def read_chunk(dataset: h5py.Dataset, start: int, stop: int) -> Chunk | None:
    """Return the chunk that begins with row `start`, or None if h5py has to read the rows [start, stop)."""
    chunks, filters = dataset.chunks, _filters(dataset)
    if not chunks or chunks[1:] != dataset.shape[1:] or start % chunks[0] or stop - start > chunks[0]:
        return None
    if filters not in (("deflate",), ("shuffle", "deflate")) or not _is_plain(dataset):
        return None
    origin = (start,) + (0,) * (dataset.ndim - 1)
    chunk = dataset.id.get_chunk_info_by_coord(origin)
    if chunk.filter_mask or not chunk.size:  # stored without its filters, or never written to the file
        return None
    with phil:
        _, packed = dataset.id.read_direct_chunk(origin)
    return Chunk(packed, chunks, dataset.dtype, shuffled="shuffle" in filters)


def _is_plain(dataset: h5py.Dataset) -> bool:
    """Return whether a dataset has numbers in a form that numpy has too, so that bytes need no conversion."""
    dtype = dataset.dtype
    if dtype.kind not in "fiu" or dtype.itemsize not in SIZES:
        return False
    return bool(h5py.h5t.py_create(dtype).equal(dataset.id.get_type()))


def _filters(dataset: h5py.Dataset) -> tuple[str, ...]:
    """Return the names of a dataset's filters, in the order in which HDF5 applied them."""
    names = {h5py.h5z.FILTER_DEFLATE: "deflate", h5py.h5z.FILTER_SHUFFLE: "shuffle"}
    properties = dataset.id.get_create_plist()
    codes = (properties.get_filter(i)[0] for i in range(properties.get_nfilters()))
    return tuple(names.get(code, str(code)) for code in codes)
