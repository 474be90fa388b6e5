"""Reading single images from the shards that `ingest` writes, decoding each directly into its row of a batch."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import zarr

from store.arrays import Float32Array, Int64Array, UInt8Array
from store.compiled.decode import (
    WRONG_BLOCK,
    WRONG_HEADER,
    WRONG_OFFSET,
    decode_samples,
    lz4_address,
    public_address,
)
from store.errors import CorruptStoreError
from store.layout import MISSING_CHUNK
from store.mapping import MappedFile
from store.page_cache import fits

ImageArray = zarr.Array[Any]
DEFECTS = {
    WRONG_HEADER: "its Blosc header does not belong to this array",
    WRONG_OFFSET: "its block table points outside the chunk",
    WRONG_BLOCK: "a block does not decode to a sample",
}


def shard_files(image: ImageArray, root: Path) -> list[Path]:
    """Return the paths of all shards of a sharded array, in order; shards of zeros only may be missing on disk."""
    assert image.shards is not None
    count = -(-image.shape[0] // image.shards[0])
    encode, zeros = image.metadata.encode_chunk_key, (0,) * (image.ndim - 1)
    return [root / image.path / encode((shard, *zeros)) for shard in range(count)]


class BlockReader(ABC):
    """Reads single images, decoding each directly into its row of the batch; see `store.sample_reader.SampleReader`.

    If all shards fit into the page cache, the system is asked to read them ahead, in order: reading single samples in
    random order from a cold disk is hundreds of times slower.

    Parameters
    ----------
    image
        The array ``image`` of a store, for which `store.sample_reader.has_sample_blocks` holds.
    root
        The store's folder.

    Raises
    ------
    CorruptStoreError
        If a shard is shorter than its index, or the index is not what was written.
    """

    kind: str

    def __init__(self, image: ImageArray, root: Path) -> None:
        assert image.shards is not None
        lz4 = lz4_address()
        if not lz4:
            self.kind += ", decoded one by one through numcodecs"
        self._lz4 = lz4 or public_address()
        self._sample_bytes = 4 * int(np.prod(image.shape[1:]))
        self._chunk = image.chunks[0]
        self._chunks_per_shard = image.shards[0] // image.chunks[0]
        self._shards = shard_files(image, root)
        self._start = np.zeros(len(self._shards) * self._chunks_per_shard, np.int64)  # of each chunk
        self._size = np.zeros_like(self._start)  # 0 for a chunk of zeros, which is not stored
        read_ahead = fits(sum(path.stat().st_size for path in self._shards if path.exists()))
        for shard in range(len(self._shards)):
            try:
                self._open_shard(shard, read_ahead)
            except FileNotFoundError:
                continue  # all zeros

    @abstractmethod
    def _open_shard(self, shard: int, read_ahead: bool) -> None:
        """Open a shard and call `_record_chunks`.

        Raises
        ------
        FileNotFoundError
            If the shard is missing on disk, because it is all zeros.
        """

    @abstractmethod
    def _decode(self, samples: Int64Array, out: Float32Array) -> tuple[int, int]:
        """Fill `out`; return (0, 0), or the index in `samples` of the first that is corrupt, and its defect."""

    @property
    def _tail_bytes(self) -> int:
        """Size of the end of a shard that holds its index and the checksum of that."""
        return 16 * self._chunks_per_shard + 4

    def _record_chunks(self, shard: int, begin: int, shard_bytes: int, tail: UInt8Array) -> None:
        """Record where the chunks of a shard are.

        Parameters
        ----------
        shard
            Number of the shard.
        begin
            Position of its first byte, to which the positions of its chunks are relative.
        shard_bytes
            Size of the shard.
        tail
            uint8 (n,), its last `_tail_bytes` bytes, or all if it is shorter.
        """
        path, index = self._shards[shard], tail[:-4].tobytes()
        if shard_bytes == 0:
            raise CorruptStoreError(f"{path}: the shard is empty")
        if shard_bytes < self._tail_bytes:
            raise CorruptStoreError(f"{path}: {shard_bytes} bytes are too few for the shard's index")
        if google_crc32c.value(index) != int.from_bytes(tail[-4:].tobytes(), "little"):
            raise CorruptStoreError(f"{path}: the shard's index does not match its checksum")
        offset, size = np.frombuffer(index, "<u8").reshape(-1, 2).T
        present = offset != np.uint64(MISSING_CHUNK)
        end = shard_bytes - self._tail_bytes
        if np.any(offset[present] > end) or np.any(size[present] > end - offset[present]):
            raise CorruptStoreError(f"{path}: the shard's index points outside the shard")
        chunks = slice(shard * self._chunks_per_shard, (shard + 1) * self._chunks_per_shard)
        self._start[chunks] = np.where(present, begin + offset.astype(np.int64), 0)
        self._size[chunks] = np.where(present, size, 0).astype(np.int64)

    def read(self, samples: Int64Array, out: Float32Array) -> None:
        """See `store.sample_reader.SampleReader.read`."""
        if out.nbytes != samples.size * self._sample_bytes or not out.flags.c_contiguous or out.dtype != np.float32:
            raise ValueError(
                f"out must be C-contiguous float32 for {samples.size} samples, got {out.dtype} {out.shape}"
            )
        if samples.size and not 0 <= samples.min() <= samples.max() < self._start.size * self._chunk:
            raise ValueError(f"samples must be in [0, {self._start.size * self._chunk})")
        failed, defect = self._decode(samples, out)
        if defect:
            sample = int(samples[failed])
            path = self._shards[sample // self._chunk // self._chunks_per_shard]
            raise CorruptStoreError(f"{path}: sample {sample} is corrupt: {DEFECTS[defect]}")


class MappedReader(BlockReader):
    """Reads images from shards that are mapped into memory; the system's page cache is the only copy.

    If another program shortens a shard in place, reading the missing part ends the process; see `store.bus_errors`.
    """

    kind = "blocks"

    def __init__(self, image: ImageArray, root: Path) -> None:
        self._maps: list[MappedFile] = []
        super().__init__(image, root)

    def _open_shard(self, shard: int, read_ahead: bool) -> None:
        try:
            mapped = MappedFile(self._shards[shard])
        except ValueError:
            self._record_chunks(shard, 0, 0, np.empty(0, np.uint8))
            return
        if read_ahead:
            mapped.read_ahead()
        self._record_chunks(shard, mapped.address, mapped.size, np.asarray(mapped)[-self._tail_bytes :])
        self._maps.append(mapped)

    def _decode(self, samples: Int64Array, out: Float32Array) -> tuple[int, int]:
        failed, defect = decode_samples(
            self._lz4, self._start, self._size, self._chunk, self._sample_bytes, samples, out.ctypes.data
        )
        return failed, defect
