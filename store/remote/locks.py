"""Locks on files of the cache, which several processes share."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from store.files import NO_LOCKS


@contextmanager
def holding(path: Path) -> Iterator[None]:
    """Hold an exclusive lock during the ``with`` block, after waiting for it; other threads are kept out as well.

    On a file system without locks the block runs all the same.

    Parameters
    ----------
    path
        The lock: a file that is made, and deleted at the end.
    """
    descriptor = _acquire(path, fcntl.LOCK_EX)
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink(missing_ok=True)
        release(descriptor)


def hold_shared(path: Path) -> int:
    """Return a descriptor that holds a shared lock, after waiting for it; see `release`."""
    return _acquire(path, fcntl.LOCK_SH)


def try_exclusive(path: Path) -> int | None:
    """Return a descriptor that holds an exclusive lock on a file, or None.

    None means that somebody else holds a lock, that the file is gone, or that the file system has no locks.
    """
    try:
        descriptor = os.open(path, os.O_RDWR)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def lock_descriptor(descriptor: int) -> None:
    """Lock an open file that nobody else knows yet, if the file system has locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise


def release(descriptor: int) -> None:
    """Release a lock and close its descriptor; a forked process that inherited it loses the lock too."""
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    with suppress(OSError):
        os.close(descriptor)


def _acquire(path: Path, kind: int) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, kind)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                os.close(descriptor)
                raise
            return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        os.close(descriptor)  # whoever held it before has deleted it
