"""Dask arrays whose slices can be written to Zarr, which needs chunks of one size."""

from typing import Any

import dask.array as da
import numpy as np
import zarr

CHUNK_BYTES = 32 << 20
MOST_CHUNKS = 1 << 14  # dask needs some hundred bytes and microseconds for each


class EvenChunks(da.Array):
    """A dask array with chunks of one size along its first axis, except for a smaller last one.

    Slices of it have that too: dask itself would keep the borders of the chunks, so that a slice begins with a smaller
    chunk, which ``xarray.Dataset.to_zarr`` refuses. The result of any other operation is an ordinary dask array.
    """

    __slots__ = ()

    def __getitem__(self, index: Any) -> "EvenChunks":
        return even_chunks(super().__getitem__(index))  # type: ignore[no-untyped-call]

    def __reduce__(self) -> tuple[Any, ...]:
        return EvenChunks, super().__reduce__()[1]  # type: ignore[no-untyped-call]


def even_chunks(array: da.Array) -> EvenChunks:
    """Return the same array with even chunks; no chunk becomes larger than the largest of the array."""
    sizes = array.chunks[0] if array.ndim else ()
    uneven = len(set(sizes[:-1])) > 1 or sizes[-1:] > sizes[:1]
    if uneven and not np.isnan(sizes).any():
        array = array.rechunk({0: max(sizes)})
    return EvenChunks(array.dask, array.name, array.chunks, meta=array._meta)  # type: ignore[no-untyped-call]


def samples_per_chunk(image: "zarr.Array[Any]") -> int:
    """Return the number of samples in each dask chunk of an array of images.

    It is a multiple of the inner chunks: about 32 MiB, but at most a shard; more if there were too many chunks.
    """
    inner = image.chunks[0]
    sample_bytes = image.dtype.itemsize * int(np.prod(image.shape[1:]))
    size = min(max(1, CHUNK_BYTES // (inner * sample_bytes)), (image.shards or image.chunks)[0] // inner)
    least = -(-image.shape[0] // (MOST_CHUNKS * inner))
    return inner * max(size, least)
