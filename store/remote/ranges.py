"""Reading whole objects in ranges, several at a time, since one connection rarely carries all that a link can."""

import errno
import functools
import hashlib
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future

from store.errors import RemoteError
from store.locations import Url
from store.remote.failures import NoRangesError
from store.remote.objects import ReadableObjects, open_objects
from store.remote.threads import RequestThreads

RANGE = 2 << 20  # bytes per request: small, so that objects arrive one after another, and not all of them at the end
AHEAD = 16  # requests at a time per object
REQUESTS = 16  # at a time per process
WHOLE = 256 << 20  # bytes of the largest object that is held in memory, from a server that sends no ranges


def read_ranges(objects: ReadableObjects, remote: str, size: int) -> Iterator[bytes]:
    """Yield the content of an object in order, from several requests at a time; from one if the server sends no ranges.

    Raises
    ------
    FileNotFoundError
        If there is no such object.
    RemoteError
        If it cannot be read, or the server sends no ranges of an object that is too large to be held in memory.
    """
    try:
        yield from _read_at_once(objects, remote, size)
    except NoRangesError:
        if size > WHOLE:
            raise
        content = objects.read(remote)
        if len(content) != size:
            raise RemoteError(f"{objects.url}: {remote} has {len(content)} bytes instead of {size}") from None
        yield content


def _read_at_once(objects: ReadableObjects, remote: str, size: int) -> Iterator[bytes]:
    pool = _request_pool(os.getpid())
    pending: deque[Future[bytes]] = deque()
    starts = iter(range(0, size, RANGE))
    try:
        while True:
            while len(pending) < AHEAD and (start := next(starts, None)) is not None:
                pending.append(pool.submit(objects.read, remote, start, min(start + RANGE, size)))
            if not pending:
                return
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()


@functools.lru_cache(maxsize=1)
def _request_pool(_process: int) -> RequestThreads:
    """Return the threads that wait for servers; a forked process needs its own."""
    return RequestThreads(REQUESTS)


def object_sha256(url: Url) -> str:
    """Return the sha256 of an object, as hex; nothing of it is kept.

    Raises
    ------
    FileNotFoundError
        If there is no such object; the error names its URL.
    RemoteError
        If it cannot be read.
    """
    objects = open_objects(url)
    info = objects.info()
    if info is None:
        raise FileNotFoundError(errno.ENOENT, "no such object", str(url))
    digest = hashlib.sha256()
    for content in read_ranges(objects, "", info.size):
        digest.update(content)
    return digest.hexdigest()
