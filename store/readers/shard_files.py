"""Where the shards of a store are: in its folder, or on another machine and fetched when they are needed."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

import zarr

from store.errors import CorruptStoreError
from store.integrity import list_files
from store.locations import Location


class ShardFiles(Protocol):
    """The files of all shards of an array of images; safe to use from several threads at once, and can be pickled.

    Attributes
    ----------
    count
        Number of shards.
    most_open
        Number of shards that a reader may keep mapped or open at once, if they are copies that may be deleted. None if
        all of them are on this machine anyway.
    room
        Bytes that the copies of shards may take on this machine, or None if the shards are no copies.
    folder
        Folder of this machine with the metadata of the array, and the files of its shards as far as they are here.
    """

    count: int
    most_open: int | None
    room: int | None
    folder: Path

    def is_zeros(self, shard: int) -> bool:
        """Return whether a shard has no file, because all of its images are zeros."""

    def file(self, shard: int) -> Path:
        """Return the file of a shard on this machine, after fetching and checking it if it is not there.

        Another process may delete it at any time if it is a copy, so it should be opened at once, and asked for again
        if it is gone. A shard of zeros must not be asked for.

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
        """Say which shards are needed next, in this order, so that they can be fetched in the background.

        They come before those that were expected earlier, which are fetched nevertheless. Those that were fetched and
        are not among them are no longer kept for later.
        """

    def absent(self, shards: Iterable[int]) -> list[int]:
        """Return those of some shards that are not on this machine, and have to be fetched before they are read."""


class LocalShards:
    """The shards in the folder of a store.

    Parameters
    ----------
    image
        The array ``image`` of the store. If it is not sharded, its chunks are files in place of shards.
    root
        The store's folder.
    """

    most_open: int | None = None
    room: int | None = None

    def __init__(self, image: zarr.Array[Any], root: Path) -> None:
        self.count = -(-image.shape[0] // (image.shards or image.chunks)[0])
        self.folder = root / image.path
        self._encode = image.metadata.encode_chunk_key
        self._zeros = (0,) * (image.ndim - 1)
        self._root = os.fspath(self.folder)
        self._files = frozenset(list_files(self.folder))
        self._metadata = self.folder / "zarr.json"
        self._identity = file_identity(self._metadata)

    def is_zeros(self, shard: int) -> bool:
        """See `ShardFiles.is_zeros`."""
        return self._encode((shard, *self._zeros)) not in self._files

    def file(self, shard: int) -> Path:
        """See `ShardFiles.file`.

        Raises
        ------
        CorruptStoreError
            If there is another store in the folder meanwhile.
        """
        if file_identity(self._metadata) not in (self._identity, None):
            raise CorruptStoreError(f"{self.folder}: was replaced while the store was being read; open it again")
        return self.name(shard)

    def name(self, shard: int) -> Path:
        """See `ShardFiles.name`."""
        return Path(f"{self._root}/{self._encode((shard, *self._zeros))}")

    def expect(self, shards: Sequence[int]) -> None:
        """See `ShardFiles.expect`."""

    def absent(self, shards: Iterable[int]) -> list[int]:
        """See `ShardFiles.absent`."""
        return []


def file_identity(path: Path) -> tuple[str, int, int, int, int] | None:
    """Return values that tell a file from one that replaces it, or None if there is none.

    The inode of a file that is mapped or open is not used again.
    """
    try:
        status = os.stat(path)  # noqa: PTH116  called for each shard that is opened
    except (FileNotFoundError, NotADirectoryError):
        return None
    return os.fspath(path), status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
