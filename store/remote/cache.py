"""The local cache of remote objects: whole and checked copies, shared by all processes that use its folder."""

import errno
import functools
import hashlib
import os
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from store.errors import CorruptStoreError, RemoteError
from store.files import parse_size, sha256
from store.locations import Location
from store.remote.locks import holding
from store.remote.objects import ObjectInfo, ReadableObjects
from store.remote.ranges import read_ranges
from store.remote.space import LOCKS, NoRoomError, Partial, Space

FOLDER, SIZE = "CALOSTREAM_CACHE", "CALOSTREAM_CACHE_SIZE"
STAMPS = 946_684_800  # seconds since 1970: the first time of modification that shows a checked file


class Cache:
    """Copies of remote objects in a folder of this machine, within a bound in bytes.

    A file in the cache is whole, and was checked. Its time of modification is a number made from what it was checked
    against, so a file that was changed later is noticed, and fetched again. Processes that need the same object at
    once wait for the one that fetches it. When the bound would be exceeded, the files that were used longest ago are
    deleted.

    Parameters
    ----------
    folder
        The folder; it is made if necessary.
    limit
        The bound in bytes. By default half of what is free there and what the cache has.

    Raises
    ------
    RemoteError
        If the folder cannot be written.
    """

    def __init__(self, folder: Path, limit: int | None = None) -> None:
        self.folder = folder
        with self.naming_folder():
            self.space = Space(folder, limit)
        self.limit = self.space.limit

    def fetch(
        self,
        name: str,
        objects: ReadableObjects,
        remote: str = "",
        *,
        digest: str | None = None,
        size: int | None = None,
    ) -> Path:
        """Return the copy of an object, after fetching it if there is none.

        Parameters
        ----------
        name
            Path of the copy below the cache's folder.
        objects, remote
            The objects, and the name of this one among them.
        digest
            Its sha256. Without one, a single request asks the server whether the object has changed.
        size
            Its size in bytes, if it is known as well as the digest; otherwise a request asks for it.

        Raises
        ------
        FileNotFoundError
            If there is no such object.
        RemoteError
            If it cannot be fetched, is larger than the cache's bound, or the cache cannot be written.
        CorruptStoreError
            If its sha256 is another one, twice.
        """
        path = self.folder / name
        info = None if digest else _info(objects, remote)
        if self._is_there(path, digest, info):
            return path
        lock = self.folder / LOCKS / hashlib.sha256(name.encode()).hexdigest()
        with self.naming_folder(), holding(lock):
            if self._is_there(path, digest, info):
                return path
            for last in (False, True):
                info = ObjectInfo(size, "") if digest and size is not None and not last else _info(objects, remote)
                problem = self._fetch(path, objects, remote, info, digest)
                if problem is None:
                    return path
                if last:
                    raise problem
        raise AssertionError

    def write(self, name: str, content: bytes) -> None:
        """Write a file that was read already, unless there is one; see `fetch`."""
        path = self.folder / name
        digest = hashlib.sha256(content).hexdigest()
        with self.naming_folder():
            if self._is_there(path, digest, None):
                return
            with closing(self._reserve(path, len(content))) as partial:
                _write(partial.descriptor, content)
                self._finish(partial, path, _stamp(digest, None))

    def _is_there(self, path: Path, digest: str | None, info: ObjectInfo | None) -> bool:
        """Return whether there is a current copy, and note that it was used."""
        try:
            status = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        if info is not None and status.st_size != info.size:
            return False
        if status.st_mtime_ns != _stamp(digest, info):
            if digest is None or sha256(path) != digest:
                return False
            _set_stamp(path, _stamp(digest, info))
        self.space.touch(path)
        return True

    def _fetch(
        self, path: Path, objects: ReadableObjects, remote: str, info: ObjectInfo, digest: str | None
    ) -> RemoteError | CorruptStoreError | None:
        """Fetch an object; return what is wrong with it, or None."""
        url = objects.url / remote if remote else objects.url
        with closing(self._reserve(url, info.size)) as partial:
            computed = hashlib.sha256()
            for content in read_ranges(objects, remote, info.size):
                computed.update(content)
                _write(partial.descriptor, content)
            if digest is not None and computed.hexdigest() != digest:
                return CorruptStoreError(f"{url}: has another sha256 than was recorded when the store was made")
            if digest is None and _info(objects, remote) != info:
                return RemoteError(f"{url}: was changed while it was read; start again")
            self._finish(partial, path, _stamp(digest, info))
        return None

    def _reserve(self, name: Location, size: int) -> Partial:
        try:
            return self.space.reserve(size)
        except NoRoomError:
            raise RemoteError(
                f"{name}: its {size} bytes do not fit into the cache {self.folder} of {self.limit} bytes; "
                f"give a larger one by --cache-size or {SIZE}"
            ) from None

    def _finish(self, partial: Partial, path: Path, stamp: int) -> None:
        os.fsync(partial.descriptor)
        _set_stamp(partial.path, stamp)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.path.replace(path)

    @contextmanager
    def naming_folder(self) -> Iterator[None]:
        """Say what to do if the folder is full or cannot be written."""
        try:
            yield
        except RemoteError:
            raise
        except FileNotFoundError as error:
            if "://" in str(error.filename):
                raise  # an object
            raise self._explain(error) from error
        except OSError as error:
            raise self._explain(error) from error

    def _explain(self, error: OSError) -> RemoteError:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        reason = "the disk is full" if full else (error.strerror or str(error)).lower()
        remedy = f"lower --cache-size or {SIZE}, or give" if full else "give"
        return RemoteError(
            f"the cache {self.folder} cannot be written ({reason}); {remedy} another folder by --cache or {FOLDER}"
        )


def open_cache() -> Cache:
    """Return the cache that ``CALOSTREAM_CACHE`` and ``CALOSTREAM_CACHE_SIZE`` name, or the user's.

    Raises
    ------
    ConfigError
        If the size is none.
    RemoteError
        If the folder cannot be written.
    """
    cache = _open_cache(os.environ.get(FOLDER) or _user_folder(), os.environ.get(SIZE) or "")
    with cache.naming_folder():
        cache.space.make_folders()
    return cache


def _user_folder() -> str:
    caches = "~/Library/Caches" if sys.platform == "darwin" else os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return f"{caches}/calostream"


@functools.lru_cache
def _open_cache(folder: str, size: str) -> Cache:
    return Cache(Path(folder).expanduser().absolute(), parse_size(SIZE, size) if size else None)


def _info(objects: ReadableObjects, remote: str) -> ObjectInfo:
    info = objects.info(remote)
    if info is None:
        raise FileNotFoundError(errno.ENOENT, "no such object", str(objects.url / remote if remote else objects.url))
    return info


def _write(descriptor: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]


def _stamp(digest: str | None, info: ObjectInfo | None) -> int:
    """Return the time of modification, in nanoseconds, of a file that was checked against a digest or a version."""
    text = digest or hashlib.sha256(repr(info and (info.size, info.version)).encode()).hexdigest()
    return (STAMPS + int(text[:7], 16)) * 10**9


def _set_stamp(path: Path, stamp: int) -> None:
    os.utime(path, ns=(path.stat().st_atime_ns, stamp))
