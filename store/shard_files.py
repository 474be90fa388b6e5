"""Where the shards of a store are: in its folder, or on another machine and fetched when they are needed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import zarr

from store.locations import Location


class ShardFiles(Protocol):
    """The files of all shards of an array of images; safe to use from several threads at once, and can be pickled.

    Attributes
    ----------
    count
        Number of shards.
    most_open
        Number of shards that a reader may keep mapped or open at once, or None if there is no limit.
    """

    count: int
    most_open: int | None

    def file(self, shard: int) -> Path:
        """Return the file of a shard on this machine, after fetching and checking it if it is not there.

        It may be missing, if the shard is all zeros. Another process may delete it at any time if it is a copy, so it
        should be opened at once, and asked for again if it is gone.

        Raises
        ------
        RemoteError
            If it cannot be fetched.
        CorruptStoreError
            If it is not what was written.
        """

    def name(self, shard: int) -> Location:
        """Return where the shard itself is, for messages."""

    def expect(self, shards: Sequence[int]) -> None:
        """Say which shards are needed next, in this order, so that they can be fetched in the background."""


class LocalShards:
    """The shards in the folder of a store.

    Parameters
    ----------
    image
        The array ``image`` of the store, or another sharded array.
    root
        The store's folder.
    """

    most_open: int | None = None

    def __init__(self, image: zarr.Array[Any], root: Path) -> None:
        assert image.shards is not None
        self.count = -(-image.shape[0] // image.shards[0])
        self._folder = root / image.path
        self._encode = image.metadata.encode_chunk_key
        self._zeros = (0,) * (image.ndim - 1)

    def file(self, shard: int) -> Path:
        """See `ShardFiles.file`."""
        return self._folder / self._encode((shard, *self._zeros))

    name = file

    def expect(self, shards: Sequence[int]) -> None:
        """See `ShardFiles.expect`."""
