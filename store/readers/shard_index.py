"""The index at the end of a shard: where its chunks are."""

import google_crc32c
import numpy as np

from store.arrays import Int64Array, UInt8Array
from store.errors import CorruptStoreError
from store.layout import MISSING_CHUNK
from store.locations import Location


def index_bytes(chunks: int) -> int:
    """Return the size of the index of a shard of this many chunks, with its checksum."""
    return 16 * chunks + 4


def read_index(name: Location, size: int, end: UInt8Array, chunks: int) -> Int64Array:
    """Return where the chunks of a shard are.

    Parameters
    ----------
    name
        The shard, for messages.
    size
        Size of the shard in bytes.
    end
        uint8 (`index_bytes`,), its last bytes, or all of them if it is shorter.
    chunks
        Chunks per shard.

    Returns
    -------
    ndarray
        int64 (chunks, 2), offset and size of each chunk; 0 and 0 for a chunk that is not stored, because it is zeros.

    Raises
    ------
    CorruptStoreError
        If the shard is shorter than its index, or the index is not what was written.
    """
    if size == 0:
        raise CorruptStoreError(f"{name}: the shard is empty")
    if size < index_bytes(chunks):
        raise CorruptStoreError(f"{name}: {size} bytes are too few for the shard's index")
    index = end[:-4].tobytes()
    if google_crc32c.value(index) != int.from_bytes(end[-4:].tobytes(), "little"):
        raise CorruptStoreError(f"{name}: the shard's index does not match its checksum")
    entries = np.frombuffer(index, "<u8").reshape(-1, 2)
    room = size - index_bytes(chunks)
    if entries.max() > room:  # chunks that are not stored have the largest number as offset and size
        entries = np.where(entries[:, :1] != np.uint64(MISSING_CHUNK), entries, np.uint64(0))
    if entries.max() > room or (entries[:, 0] + entries[:, 1]).max() > room:
        raise CorruptStoreError(f"{name}: the shard's index points outside the shard")
    return entries.astype(np.int64)
