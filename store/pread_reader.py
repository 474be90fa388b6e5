"""Reading images with ``pread`` instead of a memory map, for files that other computers may change meanwhile."""

import ctypes
import errno
import functools
import os
import resource
import threading
import weakref
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from store.arrays import Float32Array, Int64Array
from store.block_reader import BlockReader, ImageArray
from store.bus_errors import explain
from store.compiled.decode import decode_samples, fetch_blocks, pread_address
from store.errors import CorruptStoreError

FETCHED = 16 << 20  # bytes of chunks that a thread fetches before it decodes them
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

    Some shards stay open: at most an eighth of the files that the process may open. Each thread needs memory for 16 MiB
    of chunks, or for one chunk if that is larger.
    """

    kind = "blocks, by pread"

    def __init__(self, image: ImageArray, root: Path) -> None:
        self._files: dict[int, ShardFile] = {}
        super().__init__(image, root)
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        kept = min(MOST_OPEN, limit // 8) if limit != resource.RLIM_INFINITY else MOST_OPEN
        self._open = functools.lru_cache(kept)(OpenShard)
        self._at_once = max(1, kept // 8)  # shards from which a thread reads in one call
        self._samples_at_once = max(1, FETCHED // max(1, int(self._size.max(initial=0))))
        self._pread = pread_address()
        self._memory = threading.local()

    def _open_shard(self, shard: int, read_ahead: bool) -> None:
        path = self._shards[shard]
        with path.open("rb", buffering=0) as file:
            status = os.fstat(file.fileno())
            if read_ahead and hasattr(os, "posix_fadvise"):
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_WILLNEED)
            begin = max(0, status.st_size - self._tail_bytes)
            tail = _read_exactly(path, file.fileno(), begin, status.st_size - begin, status.st_size)
        self._record_chunks(shard, 0, status.st_size, np.frombuffer(tail, np.uint8))
        self._files[shard] = ShardFile(path, status.st_size, status.st_mtime_ns)

    def _decode(self, samples: Int64Array, out: Float32Array) -> tuple[int, int]:
        for first in range(0, samples.size, self._samples_at_once):
            rows = slice(first, first + self._samples_at_once)
            failed, defect = self._decode_some(samples[rows], out[rows])
            if defect:
                return first + failed, defect
        return 0, 0

    def _decode_some(self, samples: Int64Array, out: Float32Array) -> tuple[int, int]:
        """Fetch what is needed of the chunks of some samples, and decode it."""
        chunks, inverse = np.unique(samples // self._chunk, return_inverse=True)
        positions = inverse * self._chunk + samples % self._chunk  # as if the store had only these chunks
        size = self._size[chunks]
        end = np.cumsum(size)
        address = self._room(int(end[-1])) + end - size
        self._fetch(chunks, address, size, np.sort(positions))
        failed, defect = decode_samples(
            self._lz4, address, size, self._chunk, self._sample_bytes, positions, out.ctypes.data
        )
        return failed, defect

    def _fetch(self, chunks: Int64Array, address: Int64Array, size: Int64Array, positions: Int64Array) -> None:
        """Read into memory what is needed of some chunks, from a few shards at a time."""
        shards = chunks // self._chunks_per_shard
        stored = np.unique(shards[size > 0])
        for first in range(0, stored.size, self._at_once):
            group = stored[first : first + self._at_once]
            opened = [self._open(self._files[shard]) for shard in group.tolist()]
            descriptors = np.array([shard.descriptor for shard in opened])
            start, stop = np.searchsorted(shards, [group[0], group[-1] + 1]).tolist()
            file = descriptors[np.searchsorted(group, shards[start:stop])]
            part = slice(start, stop)
            wanted = positions[slice(*np.searchsorted(positions, [start * self._chunk, stop * self._chunk]))]
            wanted = wanted - start * self._chunk
            while wanted.size:
                failed = fetch_blocks(
                    self._pread, file, self._start[chunks[part]], address[part], size[part], self._chunk, wanted
                )
                if failed < 0:
                    break
                self._fetch_chunk(int(chunks[start + failed]), int(file[failed]), int(address[start + failed]))
                wanted = wanted[np.searchsorted(wanted, (failed + 1) * self._chunk) :]

    def _fetch_chunk(self, chunk: int, descriptor: int, address: int) -> None:
        """Read a whole chunk into memory with Python's own functions, which repeat a read that was interrupted."""
        file = self._files[chunk // self._chunks_per_shard]
        data = _read_exactly(file.path, descriptor, int(self._start[chunk]), int(self._size[chunk]), file.size)
        ctypes.memmove(address, data, len(data))

    def _room(self, size: int) -> int:
        """Return the address of memory of at least this size that belongs to the calling thread."""
        memory = getattr(self._memory, "chunks", None)
        if memory is None or memory.size < size:
            memory = self._memory.chunks = np.empty(size, np.uint8)
        return int(memory.ctypes.data)


def _read_exactly(path: Path, descriptor: int, begin: int, size: int, file_bytes: int) -> bytes:
    """Return a part of an open file, which had `file_bytes` bytes when it was opened.

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
            raise CorruptStoreError(f"{path}: cannot be read ({error.strerror})") from error
        if not part:
            raise CorruptStoreError(f"{path}: {explain(path, file_bytes)}")
        parts.append(part)
        begin, size = begin + len(part), size - len(part)
    return b"".join(parts)
