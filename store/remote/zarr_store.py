"""Zarr's view of a remote store: its copy in the cache, in which missing shards are fetched and never read as zeros."""

import asyncio
import os
from collections.abc import Iterable
from typing import Any

from zarr.abc.store import ByteRequest
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import LocalStore

from store.errors import RemoteError
from store.locations import Url
from store.remote.mirror import Mirror, reopen_mirror

ATTEMPTS = 5  # to open a shard that other processes delete because the cache is too small for all of them


class MirrorStore(LocalStore):
    """A copy of a remote store for Zarr, read-only; it can be pickled, and is opened again where it arrives.

    Parameters
    ----------
    mirror
        The copy.
    """

    def __init__(self, mirror: Mirror) -> None:
        super().__init__(mirror.folder, read_only=True)
        self._mirror = mirror

    def __reduce__(self) -> tuple[Any, ...]:
        return reopen_zarr_store, (self._mirror.url, self._mirror.key)

    def __getstate__(self) -> dict[str, Any]:
        raise TypeError("see __reduce__")

    def with_read_only(self, read_only: bool = False) -> "MirrorStore":
        """Return a store that is read-only; nothing else is possible."""
        if not read_only:
            raise ValueError(f"{self._mirror.url}: is read-only")
        return self

    async def exists(self, key: str) -> bool:
        """Return whether the store has a file, here or on the server."""
        return self._is_shard(key) or await super().exists(key)

    async def get(
        self, key: str, prototype: BufferPrototype | None = None, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Return the content of a file, after fetching it if it is a shard."""
        if not self._is_shard(key):
            return await super().get(key, prototype, byte_range)
        for _ in range(ATTEMPTS):
            await asyncio.to_thread(self._mirror.fetch_shard, key)
            content = await super().get(key, prototype, byte_range)
            if content is not None:
                return content
        raise self._vanished(key)

    def get_sync(
        self, key: str, *, prototype: BufferPrototype | None = None, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Return the content of a file, after fetching it if it is a shard."""
        if not self._is_shard(key):
            return super().get_sync(key, prototype=prototype, byte_range=byte_range)
        for _ in range(ATTEMPTS):
            self._mirror.fetch_shard(key)
            content = super().get_sync(key, prototype=prototype, byte_range=byte_range)
            if content is not None:
                return content
        raise self._vanished(key)

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        """Return parts of files."""
        return list(await asyncio.gather(*(self.get(key, prototype, part) for key, part in key_ranges)))

    def _is_shard(self, key: str) -> bool:
        return self._mirror.is_shard(key)

    def _vanished(self, key: str) -> RemoteError:
        cache = self._mirror.cache
        return RemoteError(
            f"{self._mirror.url / key}: its copy in the cache {cache.folder} is deleted before it can be read; "
            "give a larger one by --cache-size"
        )


def reopen_zarr_store(url: Url, key: str) -> MirrorStore:
    """Return the store that another process has opened."""
    return MirrorStore(reopen_mirror(url, key, os.getpid()))
