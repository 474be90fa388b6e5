"""File operations that all programs share: write a file whole, lock a folder, its sha256, a size given as text."""

import errno
import fcntl
import functools
import hashlib
import math
import os
import re
import shutil
import stat
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from store.errors import ConfigError

LOCK = ".lock"
SYNCED_AT_ONCE = 16
SIZE = re.compile(r"(\d+\.?\d*(?:e\d+)?) ?(?:([kmgtp])(i?))?b?", re.IGNORECASE)
NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF}
"""Error numbers of file systems without locks; EBADF because the descriptor that is locked is open for writing."""
PARTIAL = re.compile(r"\..*\.[0-9a-f]{32}\.partial(\.[^.]*)?")  # names that `replacing` gives


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path, and replace a file by what the ``with`` block writes there.

    The temporary file is in the same folder and is renamed at the end of the block, after it was synced to disk. So
    `path` always has its old content or all of the new one, whatever happens. After an exception it is unchanged.
    Several processes may write the same path at once; the last one wins. The temporary name has the suffix of `path`,
    which some libraries depend on.

    Parameters
    ----------
    path
        The file to create or to replace.

    Raises
    ------
    OSError
        If the file cannot be written; the error names `path`.
    """
    partial = path.with_name(f".{path.stem}.{uuid.uuid4().hex}.partial{path.suffix}")
    try:
        yield partial
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        if error.filename not in (None, str(partial), partial):
            raise
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
    sync_folder(path.parent)


def write_whole(path: Path, content: bytes | memoryview) -> None:
    """Write a file such that it always has its old content or all of the new one; see `replacing`."""
    with replacing(path) as partial:
        partial.write_bytes(content)


def is_partial(path: Path) -> bool:
    """Return whether a file is a temporary one of `replacing`, which a killed process may have left behind."""
    return PARTIAL.fullmatch(path.name) is not None


def sync_folder(folder: Path) -> None:
    """Sync a folder to disk, so that a rename in it survives a power cut; some network file systems cannot."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Sync a folder and everything in it to disk; many at once, since journals then write several in one go."""
    with ThreadPoolExecutor(SYNCED_AT_ONCE) as pool:
        list(pool.map(_sync, [folder, *folder.rglob("*")]))


def _sync(path: Path) -> None:
    if path.is_dir():
        sync_folder(path)
    else:
        with path.open("rb") as file:
            os.fsync(file.fileno())


def is_regular(path: Path) -> bool:
    """Return whether there is a regular file: no link, no folder, nothing that waits when it is opened."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except FileNotFoundError:
        return False


def remove(path: Path) -> None:
    """Delete whatever has this name: a file, a link, a folder with everything in it, or nothing."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def make_folder(path: Path) -> None:
    """Make a folder, unless it exists; anything else of that name is deleted."""
    if path.is_symlink() or not path.is_dir():
        remove(path)
        path.mkdir()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold an exclusive lock on an existing folder during the ``with`` block; it never outlives the process.

    The lock is on the file ``.lock`` in the folder, which is opened for writing, as network file systems require. On a
    file system without locks the block runs all the same, and a line on the terminal says so.

    Parameters
    ----------
    folder
        The folder.

    Raises
    ------
    BlockingIOError
        If another process holds the lock, or has just removed the folder; the error's ``filename`` is `folder`.
    """
    path = folder / LOCK
    busy = BlockingIOError(errno.EAGAIN, "locked by another process", str(folder))
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except FileNotFoundError:
        raise busy from None
    except IsADirectoryError as error:
        raise OSError(error.errno, "is a folder, where a lock belongs; delete it", str(path)) from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise busy from None
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise OSError(error.errno, error.strerror, str(path)) from error
            _warn_without_locks(folder)
        if not _is_open_file(descriptor, path):  # a process that just finished has removed this lock
            raise busy
        try:
            yield
        finally:
            with suppress(OSError):
                path.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def _is_open_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


@functools.cache  # once per folder
def _warn_without_locks(folder: Path) -> None:
    from store.console import say

    say(f"{folder}: this file system has no locks; make sure that no other process writes to this folder")


def clear_folder(folder: Path) -> None:
    """Delete everything in a folder except its lock."""
    for child in folder.iterdir():
        if child.name != LOCK:
            remove(child)


def folder_bytes(folder: Path, enough: float = math.inf) -> int:
    """Return the total size of all files in a folder and its subfolders, in bytes; 0 if there is no such folder.

    Adding up ends when the sum is `enough`, which need not be exact then.
    """
    total, folders = 0, [os.fspath(folder)]
    while folders:
        with suppress(FileNotFoundError), os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                    continue
                with suppress(FileNotFoundError):  # another thread or process may delete files meanwhile
                    total += entry.stat().st_size if entry.is_file() else 0
                if total >= enough:
                    return total
    return total


def sha256(path: Path) -> str:
    """Return the sha256 of the content of a file, as hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def parse_size(name: str, size: int | str) -> int:
    """Return a size in bytes.

    Parameters
    ----------
    name
        Name of the option, for the message.
    size
        Bytes, or text such as ``"512MiB"``, ``"2 GB"`` or ``"1.5g"``; upper and lower case are equivalent.

    Raises
    ------
    ConfigError
        If it is not a size of at least one byte.
    """
    match = SIZE.fullmatch(str(size).strip())
    if match:
        number, prefix, binary = match.groups()
        value = float(number) * (1024 if binary else 1000) ** " kmgtp".index((prefix or " ").lower())
        if 1 <= value < 2**63:
            return int(value)
    raise ConfigError(f"{name}={size!r} is not a size such as '512MiB'")
