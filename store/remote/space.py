"""The space of the cache: its bound, and deleting what was used longest ago."""

import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from store.remote.locks import hold_shared, holding, lock_descriptor, release, try_exclusive

STORES, FILES, PARTIAL, LOCKS = "stores", "files", "partial", "locks"
SHARD_PREFIX = "c."
KEPT = 0.95  # of the bound, when something has to be deleted, so that not every fetch lists the cache
ABANDONED = 24 * 3600  # seconds after which a partial file belongs to nobody, where there are no locks
STARTING = 5  # seconds in which a partial file may have no lock yet
WAIT = 0.05  # seconds


class Entry(NamedTuple):
    """What is deleted at once: a file, or a copy of a store without its shards."""

    used: float
    size: int
    path: Path


class NoRoomError(Exception):
    """An object does not fit, whatever is deleted."""


class Partial:
    """A file in the cache that is being fetched, locked so that nobody deletes it.

    Parameters
    ----------
    path
        A name that nobody else uses.
    size
        Size of the object in bytes, which the file has from the start.
    """

    def __init__(self, path: Path, size: int) -> None:
        self.path = path
        self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        lock_descriptor(self.descriptor)
        os.ftruncate(self.descriptor, size)

    def close(self) -> None:
        """Delete the file, unless it was renamed."""
        self.path.unlink(missing_ok=True)
        release(self.descriptor)


class Space:
    """The space of the cache, which several processes share.

    A file in the folder holds the number of bytes that are used or reserved, so that the cache is listed only when the
    bound would be exceeded.

    Parameters
    ----------
    folder
        The cache's folder.
    limit
        Its bound in bytes, or None for half of what it has and what is free.
    """

    def __init__(self, folder: Path, limit: int | None) -> None:
        self.folder = folder
        self.make_folders()
        if limit is None:
            limit = (shutil.disk_usage(folder).free + sum(entry.size for entry in self._entries())) // 2
        self.limit = limit

    def make_folders(self) -> None:
        """Make the folders of the cache, also if somebody has deleted them."""
        for name in (STORES, FILES, PARTIAL, LOCKS):
            (self.folder / name).mkdir(parents=True, exist_ok=True)

    def reserve(self, size: int) -> "Partial":
        """Make room for an object by deleting what was used longest ago, and return an empty file for it.

        Waits for other fetches if their objects take the room.

        Raises
        ------
        NoRoomError
            If it does not fit.
        """
        while size <= self.limit:
            with holding(self.folder / LOCKS / "space"):
                # A file that is renamed while the cache is listed counts twice: what does not fit then may fit later.
                waiting = self._is_fetching()
                used = self._read_used()
                if used is None or used + size > self.limit:
                    used = self._delete_down_to(self.limit - size)
                if used + size <= self.limit:
                    partial = Partial(self.folder / PARTIAL / uuid.uuid4().hex, size)
                    self._record.write_text(f"{used + size}\n")
                    return partial
                self._record.write_text(f"{used}\n")
                waiting = waiting or self._is_fetching()
            if not waiting:
                break
            time.sleep(WAIT)
        raise NoRoomError

    def _is_fetching(self) -> bool:
        return any((self.folder / PARTIAL).iterdir())

    def touch(self, path: Path) -> None:
        """Note that a file was used just now; its time of modification stays."""
        with suppress(OSError):
            os.utime(path, ns=(time.time_ns(), path.stat().st_mtime_ns))

    def pin(self, key: str) -> int:
        """Keep the copy of a store, apart from its shards, until the descriptor that is returned is released."""
        return hold_shared(self.folder / LOCKS / f"{key}.store")

    @property
    def _record(self) -> Path:
        return self.folder / "bytes"

    def _read_used(self) -> int | None:
        try:
            return int(self._record.read_text())
        except (FileNotFoundError, ValueError):
            return None

    def _delete_down_to(self, room: int) -> int:
        """Delete what was used longest ago until at most `room` bytes are used; return how many are."""
        self._delete_abandoned()
        entries = sorted(self._entries())
        used = sum(entry.size for entry in entries)
        if used > room:
            room = min(room, int(KEPT * self.limit))
        for entry in entries:
            if used <= room:
                break
            if self._delete(entry):
                used -= entry.size
        return used

    def _delete(self, entry: Entry) -> bool:
        path = entry.path
        if path.parent == self.folder / PARTIAL:
            return False
        if path.parent != self.folder / STORES:
            path.unlink(missing_ok=True)
            return True
        lock = try_exclusive(self.folder / LOCKS / f"{path.name}.store")
        if lock is None:
            return False
        try:
            shutil.rmtree(path, ignore_errors=True)
        finally:
            release(lock)
        return True

    def _delete_abandoned(self) -> None:
        """Delete the partial files of processes that were killed."""
        for path in (self.folder / PARTIAL).iterdir():
            with suppress(FileNotFoundError):
                age = time.time() - path.stat().st_ctime  # its time of modification may be a stamp already
                if age < STARTING:
                    continue
                lock = try_exclusive(path)
                if lock is not None or age > ABANDONED:
                    path.unlink(missing_ok=True)
                if lock is not None:
                    release(lock)

    def _entries(self) -> Iterator[Entry]:
        for name in (PARTIAL, FILES):  # a file that is renamed meanwhile is rather counted twice than not at all
            for path, status in _walk(self.folder / name):
                yield Entry(status.st_atime, status.st_size, path)
        with os.scandir(self.folder / STORES) as copies:
            folders = [Path(copy.path) for copy in copies]
        for folder in folders:
            used, size = 0.0, 0
            for path, status in _walk(folder):
                if path.name.startswith(SHARD_PREFIX) and path.parent == folder / "image":
                    yield Entry(status.st_atime, status.st_size, path)
                else:
                    used, size = max(used, status.st_atime), size + status.st_size
            yield Entry(used, size, folder)


def _walk(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield all files below a folder; other processes may delete them meanwhile."""
    stack = [folder]
    while stack:
        with suppress(FileNotFoundError, NotADirectoryError), os.scandir(stack.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    stack.append(Path(entry.path))
                else:
                    with suppress(FileNotFoundError):
                        yield Path(entry.path), entry.stat(follow_symlinks=False)
