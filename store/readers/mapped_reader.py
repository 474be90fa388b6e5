"""Reading images from shards that are mapped into memory; the system's page cache is the only copy."""

import functools
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from store.arrays import Float32Array, Int64Array
from store.compiled.decode import NOT_OPEN, ZEROS, decode_samples
from store.errors import CorruptStoreError
from store.locations import Location
from store.readers.block_reader import BlockReader, ImageArray, open_file
from store.readers.mapping import MappedFile
from store.readers.shard_files import ShardFiles
from store.readers.shard_index import index_bytes, read_index

MAP_LIMIT = Path("/proc/sys/vm/max_map_count")


@dataclass(frozen=True)
class MappedShard:
    """A mapped shard whose index was checked; it stays mapped for as long as this object.

    Attributes
    ----------
    address
        Address of its first byte, or 0 for a shard of zeros.
    size
        Its size in bytes, or `ZEROS`.
    """

    address: int
    size: int
    file: MappedFile | None = None

    @classmethod
    def open(cls, shards: ShardFiles, chunks: int, known: dict[tuple[int, int], MappedFile], shard: int) -> Self:
        """Map a shard, unless it is a link to one of the `known` files, and check its index."""
        if shards.is_zeros(shard):
            return cls(0, ZEROS)

        def opening(path: Path) -> MappedFile:
            status = path.stat()
            return known.get((status.st_dev, status.st_ino)) or _map(path, shards.name(shard), chunks)

        file = open_file(shards, shard, opening)
        return cls(file.address, file.size, file)


def _map(path: Path, name: Location, chunks: int) -> MappedFile:
    try:
        file = MappedFile(path)
    except ValueError:
        raise CorruptStoreError(f"{name}: the shard is empty") from None
    read_index(name, file.size, np.asarray(file)[-index_bytes(chunks) :], chunks)
    return file


class MappedReader(BlockReader):
    """Reads images from shards that are mapped into memory.

    A shard stays mapped once it was used, if the system and `ShardFiles.most_open` allow so many maps. Otherwise those
    that were used last stay, and each thread maps a few more at a time.

    If another program shortens a shard in place, reading the missing part ends the process; see
    `store.readers.bus_errors`.
    """

    kind = "blocks"

    def __init__(self, image: ImageArray, shards: ShardFiles) -> None:
        self._lock = threading.Lock()
        self._address = np.zeros(shards.count, np.int64)
        self._size = np.zeros(shards.count, np.int64)
        kept = map_limit() if shards.most_open is None else shards.most_open
        self._keeps_all = shards.count <= kept
        self._at_once = max(1, kept // 8)  # shards that a thread needs mapped
        assert image.shards is not None
        self._files: dict[tuple[int, int], MappedFile] = {}  # of all shards that stay mapped, by device and inode
        self._open = functools.partial(MappedShard.open, shards, image.shards[0] // image.chunks[0], self._files)
        self._open_kept = functools.lru_cache(max(1, kept))(self._open)
        super().__init__(image, shards)

    def _open_now(self, shard: int, read_ahead: bool) -> None:
        mapped = self._keep(shard)
        if read_ahead and mapped.file is not None:
            mapped.file.read_ahead()

    def _keep(self, shard: int) -> MappedShard:
        """Map a shard and enter it into the tables, from which it is never removed."""
        with self._lock:
            mapped = self._open(shard)
            if mapped.file is not None:
                self._files[mapped.file.identity] = mapped.file
            self._address[shard] = mapped.address
        with self._lock:  # so that no thread sees the size before the address
            self._size[shard] = mapped.size
        return mapped

    def _decode(self, samples: Int64Array, out: Float32Array) -> tuple[int, int]:
        if not self._keeps_all:
            return self._decode_in_turn(samples, out)
        done = 0
        while True:
            failed, defect = self._decode_open(self._address, self._size, samples[done:], out[done:])
            done += failed
            if defect != NOT_OPEN:
                return done, defect
            needed = np.unique(samples[done:] // self._samples_per_shard)
            for shard in needed[self._size[needed] == 0].tolist():
                self._keep(shard)

    def _decode_in_turn(self, samples: Int64Array, out: Float32Array) -> tuple[int, int]:
        """Decode samples of a few shards at a time, which stay mapped meanwhile because they are referenced here."""
        needed, place = np.unique(samples // self._samples_per_shard, return_inverse=True)
        for start in range(0, needed.size, self._at_once):
            opened = [self._open_kept(shard) for shard in needed[start : start + self._at_once].tolist()]
            rows = np.flatnonzero((start <= place) & (place < start + len(opened)))
            moved = samples[rows] % self._samples_per_shard + (place[rows] - start) * self._samples_per_shard
            part = out if rows.size == samples.size else np.empty((rows.size, *out.shape[1:]), np.float32)
            address = np.array([shard.address for shard in opened])
            size = np.array([shard.size for shard in opened])
            failed, defect = self._decode_open(address, size, moved, part)
            if defect:
                return int(rows[failed]), defect
            if part is not out:
                out[rows] = part
        return 0, 0

    def _decode_open(
        self, address: Int64Array, size: Int64Array, samples: Int64Array, out: Float32Array
    ) -> tuple[int, int]:
        failed, defect = decode_samples(
            self._lz4,
            address,
            size.ctypes.data,
            self._chunks,
            self._chunk,
            self._sample_bytes,
            samples,
            out.ctypes.data,
        )
        return failed, defect


def map_limit() -> int:
    """Return how many shards a reader may keep mapped: half of the maps that the system allows a process."""
    try:
        return int(MAP_LIMIT.read_text()) // 2
    except (OSError, ValueError):
        return 1 << 20  # systems without this limit
