"""Chunks of whole images, read raw and decompressed outside HDF5's global lock, with a faster library."""

from typing import Any

import deflate
import h5py
import numpy as np
import numpy.typing as npt
from h5py._objects import phil  # HDF5's global lock, which h5py before 3.16 forgets to take in read_direct_chunk

from store.compiled.source_values import unshuffle

SIZES = (1, 2, 4, 8)  # bytes of a number


def read_chunk(dataset: h5py.Dataset, start: int, stop: int) -> npt.NDArray[Any] | None:
    """Return rows that lie in one chunk, decompressed without HDF5's help, or None if h5py has to read them.

    Parameters
    ----------
    dataset
        The dataset.
    start, stop
        Range of rows.

    Returns
    -------
    numpy.ndarray or None
        (stop - start, ...), in the dataset's own type.
    """
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
    size = dataset.dtype.itemsize
    data = np.frombuffer(deflate.zlib_decompress(packed, size * int(np.prod(chunks))), np.uint8)
    if "shuffle" in filters and size > 1:
        data = _unshuffled(data, size)
    rows: npt.NDArray[Any] = data.view(dataset.dtype).reshape(chunks)[: stop - start]
    return rows


def _is_plain(dataset: h5py.Dataset) -> bool:
    """Return whether a dataset has numbers in a form that numpy has too, so that bytes need no conversion."""
    dtype = dataset.dtype
    if dtype.kind not in "fiu" or dtype.itemsize not in SIZES:
        return False
    return bool(h5py.h5t.py_create(dtype).equal(dataset.id.get_type()))


def _unshuffled(planes: npt.NDArray[np.uint8], size: int) -> npt.NDArray[np.uint8]:
    """Undo HDF5's shuffle filter of numbers of `size` bytes."""
    count = planes.size // size
    if size == 4:
        values = np.empty(count, np.uint32)
        unshuffle(planes, values)
        return values.view(np.uint8)
    joined = np.empty((count, size), np.uint8)
    for byte in range(size):
        joined[:, byte] = planes[byte * count : (byte + 1) * count]
    return joined.reshape(-1)


def _filters(dataset: h5py.Dataset) -> tuple[str, ...]:
    """Return the names of a dataset's filters, in the order in which HDF5 applied them."""
    names = {h5py.h5z.FILTER_DEFLATE: "deflate", h5py.h5z.FILTER_SHUFFLE: "shuffle"}
    properties = dataset.id.get_create_plist()
    codes = (properties.get_filter(i)[0] for i in range(properties.get_nfilters()))
    return tuple(names.get(code, str(code)) for code in codes)
