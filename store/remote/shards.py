"""The shards of a remote store: fetched through the cache when they are needed, or in the background before."""

import functools
import os
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import zarr

from store.errors import CalostreamError
from store.locations import Url
from store.remote.mirror import Mirror, reopen_mirror

AT_ONCE = 4  # shards that are fetched at a time in the background
AHEAD = 0.25  # of the cache's bound, for shards that were fetched ahead and not used yet
OPEN = 0.25  # of the cache's bound, for shards that stay open; their space is not free even if they are deleted
FEWEST = 2


class RemoteShards:
    """The shards of a remote store; see `store.shard_files.ShardFiles`.

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
        self._lock = threading.Lock()
        self._expected: dict[int, None] = {}  # in order
        self._ahead: set[int] = set()  # fetched or being fetched in the background, and not used yet
        self._errors: dict[int, Exception] = {}
        self._working = 0
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
        with self._lock:
            self._expected.pop(shard, None)
            error = self._errors.pop(shard, None)
        if error is not None:
            raise error
        try:
            return self.mirror.fetch_shard(self.key(shard))
        finally:
            with self._lock:
                self._ahead.discard(shard)
            self._work_in_background()

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
        absent = self.absent(shards)
        for shard in {*shards} - {*absent}:
            if not self.is_zeros(shard):
                self.mirror.cache.space.touch(self._path(shard))
        with self._lock:
            self._ahead.intersection_update(shards)
            new = [shard for shard in absent if shard not in self._ahead and shard not in self._errors]
            self._expected = dict.fromkeys([*new, *self._expected])
        self._work_in_background()

    @property
    def _shard_bytes(self) -> float:
        return max(1.0, self.mirror.stored_bytes / max(1, len(self.mirror.shards)))

    def _limit_open(self) -> int | None:
        if self.mirror.stored_bytes > self.mirror.cache.limit:
            return max(FEWEST, int(OPEN * self.mirror.cache.limit / self._shard_bytes))
        return None if self.are_all_there() else max(1, self.count)

    def _path(self, shard: int) -> Path:
        return self.mirror.folder / self.key(shard)

    def _work_in_background(self) -> None:
        with self._lock:
            missing = min(AT_ONCE, len(self._expected)) - self._working if self._has_room() else 0
            self._working += max(0, missing)
        for _ in range(missing):
            try:
                _pool(os.getpid()).submit(self._work)
            except RuntimeError:  # the interpreter is ending
                return

    def _has_room(self) -> bool:
        allowed = int(AHEAD * self.mirror.cache.limit / self._shard_bytes)
        return len(self._ahead) < max(1, allowed)

    def _work(self) -> None:
        """Fetch what is expected, as long as there is room."""
        while True:
            with self._lock:
                if not self._expected or not self._has_room():
                    self._working -= 1
                    return
                shard = next(iter(self._expected))
                del self._expected[shard]
                self._ahead.add(shard)
            try:
                self.mirror.fetch_shard(self.key(shard))
            except (CalostreamError, OSError) as error:
                with self._lock:
                    self._errors[shard] = error
                    self._ahead.discard(shard)
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
def _pool(_process: int) -> ThreadPoolExecutor:
    """Return the threads that fetch shards in the background; a forked process needs its own."""
    return ThreadPoolExecutor(AT_ONCE, "calostream-shards")
