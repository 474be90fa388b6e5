"""Reading images with ``pread`` instead of a memory map, for files that other computers may change meanwhile."""

import errno
import functools
import os
import resource
import weakref
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from store.arrays import Float32Array, Int64Array, UInt8Array
from store.block_reader import BlockReader, ImageArray
from store.bus_errors import explain
from store.compiled.decode import UNREADABLE, pread_address, read_samples
from store.errors import CorruptStoreError

MOST_OPEN = 2048  # shards that stay open, however many files the process may open


@dataclass(frozen=True)
class ShardFile:
    """A shard, and what shows that it is still the same file: its size in bytes and its modification time."""

    path: Path
    size: int
    modified: int


class OpenShard:
    """An open shard, which is closed when nothing refers to it any more.

    Raises
    ------
    CorruptStoreError
        If the file cannot be opened, or is not what it was when the store was opened.
    OSError
        If the process has too many open files.
    """

    def __init__(self, file: ShardFile) -> None:
        try:
            self.descriptor = os.open(file.path, os.O_RDONLY)
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                raise
            raise CorruptStoreError(f"{file.path}: can no longer be read ({error.strerror})") from error
        weakref.finalize(self, os.close, self.descriptor).atexit = False
        status = os.fstat(self.descriptor)
        if (status.st_size, status.st_mtime_ns) != (file.size, file.modified):
            raise CorruptStoreError(f"{file.path}: was changed by another program while the store was being read")


class PreadReader(BlockReader):
    """Reads images with ``pread``, so that a shard that is shortened or unreadable is an error and not a signal.

    Some shards stay open: at most an eighth of the files that the process may open. Each thread has one chunk in memory
    at a time.
    """

    kind = "blocks, by pread"

    def __init__(self, image: ImageArray, root: Path) -> None:
        self._files: dict[int, ShardFile] = {}
        super().__init__(image, root)
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        kept = min(MOST_OPEN, limit // 8) if limit != resource.RLIM_INFINITY else MOST_OPEN
        self._open = functools.lru_cache(kept)(OpenShard)
        self._at_once = max(1, kept // 8)  # shards that a thread holds open
        self._pread = pread_address()

    def _open_shard(self, shard: int, read_ahead: bool) -> None:
        path = self._shards[shard]
        with path.open("rb", buffering=0) as file:
            status = os.fstat(file.fileno())
            if read_ahead and hasattr(os, "posix_fadvise"):
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_WILLNEED)
            shard_file = self._files[shard] = ShardFile(path, status.st_size, status.st_mtime_ns)
            begin = max(0, status.st_size - self._tail_bytes)
            tail = _read_exactly(shard_file, file.fileno(), begin, status.st_size - begin)
        self._record_chunks(shard, 0, status.st_size, np.frombuffer(tail, np.uint8))

    def _decode(self, samples: Int64Array, out: Float32Array) -> tuple[int, int]:
        order = np.argsort(samples, kind="stable")  # so that each shard is opened and each chunk read only once
        ascending = samples[order]
        memory = np.empty(int(self._size[ascending // self._chunk].max(initial=0)), np.uint8)
        samples_per_shard = self._chunk * self._chunks_per_shard
        shards, first, count = np.unique(ascending // samples_per_shard, return_index=True, return_counts=True)
        for start in range(0, shards.size, self._at_once):
            group = slice(start, start + self._at_once)
            opened = [self._open(self._files[s]) if s in self._files else None for s in shards[group].tolist()]
            file = np.repeat([shard.descriptor if shard else -1 for shard in opened], count[group])
            rows = order[first[start] : first[start] + file.size]
            failed, defect = self._read(samples[rows], rows, out, file, memory)
            if defect:
                return int(rows[failed]), defect
        return 0, 0

    def _read(
        self, samples: Int64Array, rows: Int64Array, out: Float32Array, file: Int64Array, memory: UInt8Array
    ) -> tuple[int, int]:
        """Read samples, in ascending order, into rows of `out`, through `memory`; return as `_decode` does."""
        done, in_memory = 0, -1
        while True:
            failed, defect = read_samples(
                self._lz4,
                self._pread,
                file[done:],
                self._start,
                self._size,
                self._chunk,
                self._sample_bytes,
                samples[done:],
                rows[done:],
                out.ctypes.data,
                memory.ctypes.data,
                in_memory,
            )
            done += failed
            if defect != UNREADABLE:
                return done, defect
            # Python's own function repeats a read that was interrupted, and says why it fails.
            in_memory = int(samples[done]) // self._chunk
            size = int(self._size[in_memory])
            shard = self._files[in_memory // self._chunks_per_shard]
            data = _read_exactly(shard, int(file[done]), int(self._start[in_memory]), size)
            memory[:size] = np.frombuffer(data, np.uint8)


def _read_exactly(shard: ShardFile, descriptor: int, begin: int, size: int) -> bytes:
    """Return a part of an open shard.

    Raises
    ------
    CorruptStoreError
        If it cannot be read, or is no longer there; the message names the file.
    """
    parts = []
    while size:
        try:
            part = os.pread(descriptor, size, begin)
        except OSError as error:
            raise CorruptStoreError(f"{shard.path}: cannot be read ({error.strerror})") from error
        if not part:
            raise CorruptStoreError(f"{shard.path}: {explain(shard.path, shard.size)}")
        parts.append(part)
        begin, size = begin + len(part), size - len(part)
    return b"".join(parts)
