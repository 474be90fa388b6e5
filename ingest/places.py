"""Files of a folder or objects at a URL, which an ingest reads and writes in the same way."""

import errno
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

from store.errors import StoreError
from store.files import is_regular, remove, write_whole
from store.locations import Location, Url
from store.remote.objects import ObjectInfo, Objects, open_objects

PIECE = 8 << 20  # bytes that are read at once


class LocalFiles:
    """The files of a folder, with the methods of `store.remote.objects.Objects`; a link or a pipe is not a file.

    Parameters
    ----------
    folder
        The folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def info(self, name: str) -> ObjectInfo | None:
        """See `store.remote.objects.Objects.info`."""
        path = self._folder / name
        try:
            if not is_regular(path):
                return None
            status = path.stat()
        except NotADirectoryError:
            return None
        return ObjectInfo(status.st_size, str(status.st_mtime_ns))

    def read(self, name: str, start: int = 0, stop: int | None = None) -> bytes:
        """Return the bytes [start, stop) of a file.

        Raises
        ------
        StoreError
            If it has fewer.
        OSError
            If it cannot be read.
        """
        path = self._folder / name
        with path.open("rb") as file:
            file.seek(start)
            content = file.read(-1 if stop is None else stop - start)
        if stop is not None and len(content) != stop - start:
            raise StoreError(f"{path}: has no bytes {start + len(content)} to {stop - 1}")
        return content

    def list(self) -> dict[str, int]:
        """Return the sizes of everything in the folder by name, whatever it is."""
        with os.scandir(self._folder) as entries:
            return {entry.name: entry.stat(follow_symlinks=False).st_size for entry in entries}

    def write(self, name: str, content: bytes | memoryview) -> None:
        """Write a file, which is on the disk when this returns; see `store.files.write_whole`."""
        path = self._folder / name
        if path.is_dir() and not path.is_symlink():
            remove(path)
        write_whole(path, content)

    def delete(self, name: str) -> None:
        """Delete whatever has this name."""
        remove(self._folder / name)


Files: TypeAlias = LocalFiles | Objects


def open_place(place: Location) -> Files:
    """Return the files of a folder, or the objects below a URL.

    Raises
    ------
    ConfigError
        If a package for this kind of URL is not installed.
    """
    return open_objects(place) if isinstance(place, Url) else LocalFiles(place)


def read_pieces(place: Files, name: str) -> Iterator[bytes]:
    """Yield the content of a file, `PIECE` bytes at a time.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    OSError
        If it cannot be read.
    """
    info = place.info(name)
    if info is None:
        raise FileNotFoundError(errno.ENOENT, "no such file", name)
    for start in range(0, info.size, PIECE):
        yield place.read(name, start, min(info.size, start + PIECE))


def digest(place: Files, name: str) -> str | None:
    """Return the sha256 of a file, as hex, or None if there is no such file.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    computed = hashlib.sha256()
    try:
        for content in read_pieces(place, name):
            computed.update(content)
    except FileNotFoundError:
        return None
    return computed.hexdigest()
