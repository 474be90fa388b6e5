"""Reading single images from the shards that `ingest` writes, decoding each directly into its row of a batch."""

import errno
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import zarr

from store.arrays import Float32Array, Int64Array
from store.compiled.decode import WRONG_BLOCK, WRONG_HEADER, WRONG_INDEX, WRONG_OFFSET, lz4_address, public_address
from store.errors import CorruptStoreError, RemoteError
from store.readers.page_cache import fits, request_file
from store.readers.shard_files import ShardFiles

ImageArray = zarr.Array[Any]
Opened = TypeVar("Opened")
DEFECTS = {
    WRONG_HEADER: "its Blosc header does not belong to this array",
    WRONG_OFFSET: "its block table points outside the chunk",
    WRONG_BLOCK: "a block does not decode to a sample",
    WRONG_INDEX: "the shard's index points outside the shard",
}
FEW = 256  # shards that are opened at once with the store
ATTEMPTS = 5  # to open a copy that other processes delete


class BlockReader(ABC):
    """A `store.readers.sample_reader.SampleReader` of single images, decoding each directly into its row of the batch.

    Shards are opened when they are first used, unless there are `FEW`: then all are opened at once, so that damaged
    indices are noticed early and the store may be replaced while it is read.

    If all shards are on this machine and fit into the page cache, the system is asked to read them ahead, in order:
    reading single samples in random order from a cold disk is hundreds of times slower.

    Parameters
    ----------
    image
        The array ``image`` of a store, for which `store.readers.sample_reader.has_sample_blocks` holds.
    shards
        Its shards.

    Raises
    ------
    CorruptStoreError
        If one of few shards is shorter than its index, or the index is not what was written.
    """

    kind: str

    def __init__(self, image: ImageArray, shards: ShardFiles) -> None:
        assert image.shards is not None
        lz4 = lz4_address()
        if not lz4:
            self.kind += ", decoded one by one through numcodecs"
        self._lz4 = lz4 or public_address()
        self._shards = shards
        self._sample_bytes = 4 * int(np.prod(image.shape[1:]))
        self._chunk = image.chunks[0]
        self._chunks = image.shards[0] // image.chunks[0]
        self._samples_per_shard = image.shards[0]
        if shards.most_open is not None:
            return
        if shards.count <= FEW:
            stored = [shard for shard in range(shards.count) if not shards.is_zeros(shard)]
            read_ahead = fits(sum(shards.file(shard).stat().st_size for shard in stored))
            for shard in stored:
                self._open_now(shard, read_ahead)
        elif not shards.is_zeros(0) and fits(shards.count * shards.file(0).stat().st_size):
            threading.Thread(target=request_shards, args=(shards,), daemon=True, name="read-ahead").start()

    @abstractmethod
    def _open_now(self, shard: int, read_ahead: bool) -> None:
        """Open a shard that is not all zeros, before anything is read."""

    @abstractmethod
    def _decode(self, samples: Int64Array, out: Float32Array) -> tuple[int, int]:
        """Fill `out`; return (0, 0), or the index in `samples` of the first that is corrupt, and its defect."""

    def read(self, samples: Int64Array, out: Float32Array) -> None:
        """See `store.readers.sample_reader.SampleReader.read`."""
        if out.nbytes != samples.size * self._sample_bytes or not out.flags.c_contiguous or out.dtype != np.float32:
            raise ValueError(
                f"out must be C-contiguous float32 for {samples.size} samples, got {out.dtype} {out.shape}"
            )
        end = self._shards.count * self._samples_per_shard
        if samples.size and not 0 <= samples.min() <= samples.max() < end:
            raise ValueError(f"samples must be in [0, {end})")
        failed, defect = self._decode(samples, out)
        if defect:
            sample = int(samples[failed])
            name = self._shards.name(sample // self._samples_per_shard)
            raise CorruptStoreError(f"{name}: sample {sample} is corrupt: {DEFECTS[defect]}")


def open_file(shards: ShardFiles, shard: int, opening: Callable[[Path], Opened]) -> Opened:
    """Open the file of a shard, which must not be all zeros.

    Raises
    ------
    CorruptStoreError
        If it cannot be opened.
    RemoteError
        If it cannot be fetched.
    OSError
        If the process has too many open files, or too little memory.
    """
    reason = ""
    for _ in range(ATTEMPTS):
        try:
            return opening(shards.file(shard))
        except RemoteError:
            raise
        except FileNotFoundError as error:
            reason = f"can no longer be read ({error.strerror})"
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):
                raise
            reason = f"cannot be read ({error.strerror})"
            break
    raise CorruptStoreError(f"{shards.name(shard)}: {reason}")


def request_shards(shards: ShardFiles) -> None:
    """Ask the system to read all shards into the page cache, one after another; whoever reads one tells of errors."""
    for shard in range(shards.count):
        with suppress(OSError, CorruptStoreError):
            if not shards.is_zeros(shard):
                request_file(shards.file(shard))
