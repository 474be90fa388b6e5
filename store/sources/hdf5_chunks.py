"""Chunks of whole images, read raw and decompressed outside HDF5's global lock, with a faster library."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
from h5py._objects import phil  # HDF5's global lock, which h5py before 3.16 forgets to take in read_direct_chunk

from store.arrays import UInt8Array
from store.compiled.source_values import unshuffle
from store.scratch import scratch
from store.sources.inflate import inflate

SIZES = (1, 2, 4, 8)  # bytes of a number


class Chunk:
    """A decompressed chunk of a dataset.

    Parameters
    ----------
    data
        uint8, the bytes of its numbers; shuffled, the first byte of all numbers, then the second of all, and so on.
    shape
        Its shape.
    dtype
        Type of its numbers.
    shuffled
        Whether HDF5's shuffle filter was applied.
    allocate
        Returns memory for a number of bytes, uint8 (bytes,).
    """

    def __init__(
        self,
        data: UInt8Array,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        *,
        shuffled: bool,
        allocate: Callable[[int], UInt8Array],
    ) -> None:
        self._data, self._shape, self._dtype = data, shape, dtype
        self._shuffled, self._allocate = shuffled, allocate

    def __getitem__(self, rows: slice) -> npt.NDArray[Any]:
        """Return a copy of consecutive rows, (n, ...), in the dataset's own type."""
        start, stop, _ = rows.indices(self._shape[0])
        size, values = self._dtype.itemsize, math.prod(self._shape[1:])
        first, count = start * values, (stop - start) * values
        out = self._allocate(count * size)
        if not self._shuffled or size == 1:
            out[:] = self._data[first * size :][: count * size]
        elif size == 4:
            unshuffle(self._data, first, out.view(np.uint32))
        else:
            out.reshape(count, size)[:] = self._data.reshape(size, -1)[:, first : first + count].T
        stored: npt.NDArray[Any] = out.view(self._dtype).reshape(stop - start, *self._shape[1:])
        return stored


def new_memory(size: int) -> UInt8Array:
    """Return new memory, uint8 (size,)."""
    return np.empty(size, np.uint8)


@contextmanager
def open_chunk(
    dataset: h5py.Dataset, start: int, stop: int, allocate: Callable[[int], UInt8Array] = new_memory
) -> Iterator[Chunk | None]:
    """Yield the chunk that begins with row `start`, or None if h5py has to read the rows [start, stop).

    Parameters
    ----------
    dataset
        The dataset.
    start, stop
        Range of rows.
    allocate
        See `Chunk`.

    Raises
    ------
    OSError, ValueError
        If the chunk is damaged.
    """
    chunks, filters = dataset.chunks, _filters(dataset)
    origin = (start,) + (0,) * (dataset.ndim - 1)
    if _is_raw(dataset, start, stop, filters):
        chunk = dataset.id.get_chunk_info_by_coord(origin)
        if not chunk.filter_mask and chunk.size:  # otherwise stored without its filters, or not at all
            with phil:
                _, packed = dataset.id.read_direct_chunk(origin)
            with scratch(dataset.dtype.itemsize * math.prod(chunks)) as data:
                inflate(packed, data)
                yield Chunk(data, chunks, dataset.dtype, shuffled="shuffle" in filters, allocate=allocate)
            return
    yield None


def _is_raw(dataset: h5py.Dataset, start: int, stop: int, filters: tuple[str, ...]) -> bool:
    """Return whether rows are of one chunk of whole images, with filters that are undone here."""
    chunks = dataset.chunks
    if not chunks or chunks[1:] != dataset.shape[1:] or start % chunks[0] or stop - start > chunks[0]:
        return False
    return filters in (("deflate",), ("shuffle", "deflate")) and _is_plain(dataset)


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
