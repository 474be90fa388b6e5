"""Reading back the shards of a store that is being made at a URL, each compared with what was written."""

import hashlib
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import zarr

from ingest.places import digest, open_place, read_pieces
from store.errors import CorruptStoreError
from store.layout import shard_path
from store.locations import Url
from store.readers.shard_files import LocalShards

OPEN = 2  # shards that are on this machine at a time


class FetchedShards(LocalShards):
    """Shards that are fetched to a temporary folder when they are read, `OPEN` at a time, and compared with digests.

    There is no cache of them as for a finished store, because each shard is read once.

    Parameters
    ----------
    url
        The store.
    digests
        The sha256 of each shard that is read, by its number.
    image
        The array of images in the temporary folder.
    folder
        The temporary folder.
    """

    most_open: int | None = OPEN

    def __init__(self, url: Url, digests: Mapping[int, str], image: zarr.Array[Any], folder: Path) -> None:
        super().__init__(image, folder)
        self._url = url
        self._digests = digests
        self._fetched: list[Path] = []

    def is_zeros(self, shard: int) -> bool:
        """See `store.readers.shard_files.ShardFiles.is_zeros`; ingest writes every shard."""
        return False

    def file(self, shard: int) -> Path:
        """See `store.readers.shard_files.ShardFiles.file`."""
        path = self.folder / str(shard)
        if path in self._fetched:
            return path
        computed = hashlib.sha256()
        with path.open("wb") as file:
            for content in read_pieces(open_place(self._url), shard_path(Path(), shard).as_posix()):
                computed.update(content)
                file.write(content)
        _compare(self.name(shard), computed.hexdigest(), self._digests[shard])
        self._fetched.append(path)
        if len(self._fetched) > OPEN:
            self._fetched.pop(0).unlink()
        return path

    def name(self, shard: int) -> Url:  # type: ignore[override]
        """See `store.readers.shard_files.ShardFiles.name`."""
        return self._url / shard_path(Path(), shard).as_posix()


@contextmanager
def fetching(url: Url, metadata: bytes, digests: Mapping[int, str]) -> Iterator[tuple[zarr.Array[Any], FetchedShards]]:
    """Yield the images of a store that is being made, and those of its shards whose digests are given.

    Parameters
    ----------
    url
        The store.
    metadata
        Content of the metadata document of its array ``image``.
    digests
        The sha256 of each shard that is read, by its number.
    """
    with tempfile.TemporaryDirectory(prefix="calostream-") as name:
        folder = Path(name)
        (folder / "zarr.json").write_bytes(metadata)
        image = zarr.open_array(folder, mode="r", zarr_format=3)
        yield image, FetchedShards(url, digests, image, folder)


def check_object(url: Url, name: str, expected: str) -> None:
    """Read an object and compare it with what was written.

    Parameters
    ----------
    url
        URL of the store.
    name
        Name of the object below it.
    expected
        Its sha256.

    Raises
    ------
    CorruptStoreError
        If it is another one.
    RemoteError
        If it cannot be read.
    """
    _compare(url / name, digest(open_place(url), name), expected)


def _compare(url: Url, computed: str | None, expected: str) -> None:
    if computed != expected:
        raise CorruptStoreError(f"{url}: is not what was written there; run this again, and it is written anew")
