"""The shards of a remote store: fetched through the cache when they are needed, or in the background before."""

import functools
import os
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import zarr

from store.errors import CalostreamError
from store.locations import Url
from store.remote.mirror import Mirror, reopen_mirror
from store.remote.threads import RequestThreads

AT_ONCE = 4  # shards that are fetched at a time in the background
AHEAD = 0.6  # of the cache's bound, for shards that were fetched ahead and not used yet
OPEN = 0.25  # of the cache's bound, for shards that stay open; their space is not free even if they are deleted
FEWEST = 2


class Queue:
    """What one process fetches in the background; a forked process has a queue of its own."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self.lock = threading.Lock()
        self.expected: dict[int, None] = {}  # in order
        self.ahead: set[int] = set()  # fetched or being fetched in the background, and not used yet
        self.errors: dict[int, Exception] = {}
        self.workers = 0


class RemoteShards:
    """The shards of a remote store; see `store.readers.shard_files.ShardFiles`.

    Parameters
    ----------
    image
        The array ``image`` of the store.
    mirror
        The copy of the rest of the store.
    """

    def __init__(self, image: zarr.Array[Any], mirror: Mirror) -> None:
        self.mirror = mirror
        self.count = -(-image.shape[0] // (image.shards or image.chunks)[0])
        self.room: int | None = mirror.cache.limit
        self.folder = mirror.folder / image.path
        self._prefix = f"{image.path}/"
        self._encode = image.metadata.encode_chunk_key
        self._zeros = (0,) * (image.ndim - 1)
        self._queue = Queue()
        self.most_open = self._limit_open()

    def __reduce__(self) -> tuple[Any, ...]:
        return reopen_shards, (self.mirror.url, self.mirror.key)

    def key(self, shard: int) -> str:
        """Return the path of a shard, relative to the store."""
        return self._prefix + self._encode((shard, *self._zeros))

    def is_zeros(self, shard: int) -> bool:
        """See `ShardFiles.is_zeros`."""
        return self.key(shard) not in self.mirror.digests

    def name(self, shard: int) -> Url:
        """See `ShardFiles.name`."""
        return self.mirror.url / self.key(shard)

    def file(self, shard: int) -> Path:
        """See `ShardFiles.file`."""
        queue = self._own_queue()
        with queue.lock:
            queue.expected.pop(shard, None)
            error = queue.errors.pop(shard, None)
        if error is not None:
            raise error
        try:
            return self.mirror.fetch_shard(self.key(shard))
        finally:
            with queue.lock:
                queue.ahead.discard(shard)
            self._start_workers(queue)

    def absent(self, shards: Iterable[int]) -> list[int]:
        """See `ShardFiles.absent`."""
        return [shard for shard in shards if not self.is_zeros(shard) and not self._path(shard).exists()]

    def are_all_there(self) -> bool:
        """Return whether all shards are on this machine."""
        return not self.absent(range(self.count))

    def expect(self, shards: Sequence[int]) -> None:
        """See `ShardFiles.expect`.

        Only a part of the cache is used for shards that nobody has asked for yet, so that none of them is deleted
        before it is used.
        """
        absent, queue = self.absent(shards), self._own_queue()
        for shard in {*shards} - {*absent}:
            if not self.is_zeros(shard):
                self.mirror.cache.space.touch(self._path(shard))
        with queue.lock:
            queue.ahead.intersection_update(shards)
            new = [shard for shard in absent if shard not in queue.ahead and shard not in queue.errors]
            queue.expected = dict.fromkeys([*new, *queue.expected])
        self._start_workers(queue)

    @property
    def _shard_bytes(self) -> float:
        return max(1.0, self.mirror.stored_bytes / max(1, len(self.mirror.shards)))

    def _limit_open(self) -> int | None:
        if self.mirror.stored_bytes > self.mirror.cache.limit:
            return max(FEWEST, int(OPEN * self.mirror.cache.limit / self._shard_bytes))
        return None if self.are_all_there() else max(1, self.count)

    def _path(self, shard: int) -> Path:
        return self.mirror.folder / self.key(shard)

    def _own_queue(self) -> Queue:
        if self._queue.process != os.getpid():
            self._queue = Queue()
        return self._queue

    def _start_workers(self, queue: Queue) -> None:
        with queue.lock:
            more = min(AT_ONCE, len(queue.expected)) - queue.workers if self._has_room(queue) else 0
            queue.workers += max(0, more)
        for _ in range(more):
            try:
                _pool(os.getpid()).submit(self._work, queue)
            except RuntimeError:  # the interpreter is ending
                return

    def _has_room(self, queue: Queue) -> bool:
        allowed = int(AHEAD * self.mirror.cache.limit / self._shard_bytes)
        return len(queue.ahead) < max(1, allowed)

    def _work(self, queue: Queue) -> None:
        """Fetch what is expected, as long as there is room."""
        while True:
            with queue.lock:
                if not queue.expected or not self._has_room(queue):
                    queue.workers -= 1
                    return
                shard = next(iter(queue.expected))
                del queue.expected[shard]
                queue.ahead.add(shard)
            try:
                self.mirror.fetch_shard(self.key(shard))
            except (CalostreamError, OSError) as error:
                with queue.lock:
                    queue.errors[shard] = error
                    queue.ahead.discard(shard)
            except RuntimeError:  # the interpreter is ending
                return


def reopen_shards(url: Url, key: str) -> RemoteShards:
    """Return the shards of a store that another process has opened.

    Raises
    ------
    CorruptStoreError
        If there is another store at the URL meanwhile.
    """
    return _reopen_shards(url, key, os.getpid())


@functools.lru_cache(maxsize=64)
def _reopen_shards(url: Url, key: str, process: int) -> RemoteShards:
    mirror = reopen_mirror(url, key, process)
    image = zarr.open_group(mirror.folder, mode="r", zarr_format=3, use_consolidated=False)["image"]
    assert isinstance(image, zarr.Array)
    return RemoteShards(image, mirror)


@functools.lru_cache(maxsize=1)
def _pool(_process: int) -> RequestThreads:
    """Return the threads that fetch shards in the background; a forked process needs its own."""
    return RequestThreads(AT_ONCE, "calostream-shards")
