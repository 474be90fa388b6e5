"""Rules about files, each in one place: writing a file whole, locking a folder, sizes as text."""

import errno
import fcntl
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from store.errors import ConfigError

LOCK = ".lock"
SIZE = re.compile(r"(\d+\.?\d*(?:e\d+)?) ?(?:([kmgtp])(i?))?b?", re.IGNORECASE)
NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF}


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary file path beside `path`; once the block has written it, rename it to `path`.

    The file is synced to disk before the rename, so that `path` holds the old content or all of the new one, whatever
    happens, and several processes may write it at once. An exception leaves `path` as it was. The temporary name keeps
    the suffix, which some libraries go by, and ends in ``.partial`` before it.

    Raises
    ------
    OSError
        If the file cannot be written; it names `path`.
    """
    partial = path.with_name(f".{path.stem}.{uuid.uuid4().hex}.partial{path.suffix}")
    try:
        yield partial
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        partial.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        if error.filename not in (None, str(partial), partial):
            raise
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that holds the old content or all of the new one, as `replacing`."""
    with replacing(path) as partial:
        partial.write_bytes(content)


def is_partial(path: Path) -> bool:
    """Return whether a file is one that `replacing` had not finished when its process was killed."""
    return path.name.startswith(".") and ".partial" in path.suffixes[-2:]


def sync_folder(folder: Path) -> None:
    """Sync a folder's entries to disk, so that a rename in it survives a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network file systems cannot sync a folder
            os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold an exclusive lock on an existing folder; it ends with the process, however that ends.

    The lock is on the file ``.lock`` in the folder, opened for writing as network file systems require. Where a file
    system has no locks at all, the block runs without one, and a line on the terminal says so.

    Raises
    ------
    BlockingIOError
        If another process holds the lock, or has just removed the folder.
    """
    path = folder / LOCK
    busy = BlockingIOError(errno.EAGAIN, "locked by another process", str(folder))
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except FileNotFoundError:
        raise busy from None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise busy from None
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            _warn_without_locks(folder)
        if not _is_same_file(handle, path):
            raise busy
        try:
            yield
        finally:
            with suppress(OSError):
                path.unlink(missing_ok=True)
    finally:
        os.close(handle)


def _is_same_file(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _warn_without_locks(folder: Path) -> None:
    from store.console import say

    say(f"{folder}: this file system has no locks; make sure that no other process writes here")


def clear_folder(folder: Path) -> None:
    """Delete everything in a folder but its lock."""
    for child in folder.iterdir():
        if child.is_dir() and not child.is_symlink():
            shutil.rmtree(child)
        elif child.name != LOCK:
            child.unlink()


def folder_bytes(folder: Path) -> int:
    """Return the total size of all files in a folder and below, in bytes."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def parse_size(name: str, size: int | str) -> int:
    """Return a size in bytes.

    Parameters
    ----------
    name
        Name of the option, for the message.
    size
        Bytes, or text such as ``"512MiB"``, ``"2 GB"`` or ``"1.5g"``; upper and lower case mean the same.

    Raises
    ------
    ConfigError
        If it is not a size of at least one byte.
    """
    match = SIZE.fullmatch(str(size).strip())
    if match:
        number, prefix, binary = match.groups()
        value = int(float(number) * (1024 if binary else 1000) ** " kmgtp".index((prefix or " ").lower()))
        if value >= 1:
            return value
    raise ConfigError(f"{name}={size!r} is not a size such as '512MiB'")
