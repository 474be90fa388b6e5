"""Reading images with ``pread`` instead of a memory map, for files that other computers may change meanwhile."""

import functools
import os
import resource
import weakref
from pathlib import Path

import numpy as np

from store.arrays import Float32Array, Int64Array, UInt8Array
from store.compiled.decode import UNREADABLE, pread_address, read_samples
from store.errors import CorruptStoreError
from store.locations import Location
from store.readers.block_reader import BlockReader, ImageArray, open_file
from store.readers.bus_errors import explain
from store.readers.shard_files import ShardFiles
from store.readers.shard_index import index_bytes, read_index

MOST_OPEN = 2048  # shards that stay open, however many files the process may open


class OpenShard:
    """An open shard; it is closed when nothing refers to it any more.

    Parameters
    ----------
    path
        Its file.
    name
        The shard, for messages.

    Attributes
    ----------
    version : tuple of int
        Size in bytes and time of the last change, which show that it is still the same file.
    index : ndarray
        int64 (chunks, 2), offset and size of each chunk, after `load_index`.

    Raises
    ------
    OSError
        If the file cannot be opened.
    """

    index: Int64Array

    def __init__(self, path: Path, name: Location) -> None:
        self.path, self.name = path, name
        self.descriptor = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self.descriptor).atexit = False
        status = os.fstat(self.descriptor)
        self.size = status.st_size
        self.version = self.size, status.st_mtime_ns

    def load_index(self, chunks: int) -> None:
        """Read the index of so many chunks.

        Raises
        ------
        CorruptStoreError
            If the shard is shorter than its index, or the index is not what was written.
        """
        begin = max(0, self.size - index_bytes(chunks))
        end = np.frombuffer(self.read(begin, self.size - begin), np.uint8)
        self.index = read_index(self.name, self.size, end, chunks)

    def read(self, begin: int, size: int) -> bytes:
        """Return a part of the shard; Python repeats a read that is interrupted.

        Raises
        ------
        CorruptStoreError
            If it cannot be read, or is no longer there; the message names the shard.
        """
        parts = []
        while size:
            try:
                part = os.pread(self.descriptor, size, begin)
            except OSError as error:
                raise CorruptStoreError(f"{self.name}: cannot be read ({error.strerror})") from error
            if not part:
                raise CorruptStoreError(f"{self.name}: {explain(self.path, self.size)}")
            parts.append(part)
            begin, size = begin + len(part), size - len(part)
        return b"".join(parts)


class PreadReader(BlockReader):
    """Reads images with ``pread``, so that a shard that is shortened or unreadable is an error and not a signal.

    Some shards stay open: at most an eighth of the files that the process may open. Each thread has one chunk in memory
    at a time.
    """

    kind = "blocks, by pread"

    def __init__(self, image: ImageArray, shards: ShardFiles) -> None:
        self._versions: dict[int, tuple[int, int]] = {}  # size and time of each shard when it was first opened
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        kept = min(MOST_OPEN, limit // 8) if limit != resource.RLIM_INFINITY else MOST_OPEN
        kept = max(1, min(kept, shards.most_open or kept))
        assert image.shards is not None
        self._open = functools.partial(_open_shard, shards, image.shards[0] // image.chunks[0], self._versions)
        self._open_kept = functools.lru_cache(kept)(self._open)
        self._at_once = max(1, kept // 8)  # shards that a thread holds open
        self._pread = pread_address()
        super().__init__(image, shards)
        self._zeros = np.zeros((self._chunks, 2), np.int64)  # the index of a shard of zeros

    def _open_now(self, shard: int, read_ahead: bool) -> None:
        opened = self._open(shard)
        if read_ahead and opened and hasattr(os, "posix_fadvise"):
            os.posix_fadvise(opened.descriptor, 0, 0, os.POSIX_FADV_WILLNEED)

    def _decode(self, samples: Int64Array, out: Float32Array) -> tuple[int, int]:
        order = np.argsort(samples, kind="stable")  # so that each shard is opened and each chunk read only once
        ascending = samples[order]
        needed, first, count = np.unique(ascending // self._samples_per_shard, return_index=True, return_counts=True)
        for start in range(0, needed.size, self._at_once):
            group = slice(start, start + self._at_once)
            opened = [self._open_kept(shard) for shard in needed[group].tolist()]
            rows = order[first[start] : first[start] + count[group].sum()]
            failed, defect = self._read(samples[rows], rows, out, opened, count[group])
            if defect:
                return int(rows[failed]), defect
        return 0, 0

    def _read(
        self,
        samples: Int64Array,
        rows: Int64Array,
        out: Float32Array,
        opened: list[OpenShard | None],
        count: Int64Array,
    ) -> tuple[int, int]:
        """Read samples, in ascending order and `count` of each open shard, into rows of `out`; return as `_decode`."""
        index = [shard.index if shard else self._zeros for shard in opened]
        file = np.repeat([shard.descriptor if shard else -1 for shard in opened], count)
        entry = np.repeat([entries.ctypes.data for entries in index], count)
        entry += 16 * (samples // self._chunk % self._chunks)
        memory: UInt8Array = np.empty(max(int(entries[:, 1].max()) for entries in index), np.uint8)
        done, in_memory = 0, 0
        while True:
            failed, defect = read_samples(
                self._lz4,
                self._pread,
                file[done:],
                entry[done:],
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
            which = int(np.searchsorted(np.cumsum(count), done, side="right"))
            shard, number = opened[which], int(samples[done]) // self._chunk % self._chunks
            assert shard is not None
            begin, size = map(int, shard.index[number])
            memory[:size] = np.frombuffer(shard.read(begin, size), np.uint8)
            in_memory = int(entry[done])


def _open_shard(shards: ShardFiles, chunks: int, versions: dict[int, tuple[int, int]], shard: int) -> OpenShard | None:
    """Open a shard, or return None if it is all zeros.

    Raises
    ------
    CorruptStoreError
        If it cannot be opened, its index is not what was written, or it is not what it was before.
    OSError
        If the process has too many open files.
    """
    if shards.is_zeros(shard):
        return None
    name = shards.name(shard)
    opened = open_file(shards, shard, lambda path: OpenShard(path, name))
    if shards.most_open is None and versions.setdefault(shard, opened.version) != opened.version:
        raise CorruptStoreError(f"{name}: was changed by another program while the store was being read")
    opened.load_index(chunks)
    return opened
