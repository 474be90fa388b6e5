"""Memory that a thread uses again: new memory costs a page fault per page, which is slower than filling it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from store.arrays import UInt8Array

KEPT = 256 << 20  # bytes that a thread keeps at most


class _OfThread(threading.local):
    memory: UInt8Array | None = None


_of_thread = _OfThread()


@contextmanager
def scratch(size: int) -> Iterator[UInt8Array]:
    """Yield memory of `size` bytes, uint8 (size,), of any content, which must not be used after the ``with`` block."""
    memory, _of_thread.memory = _of_thread.memory, None  # so that blocks within this one get other memory
    if memory is None or memory.size < size:
        memory = np.empty(size, np.uint8)
    try:
        yield memory[:size]
    finally:
        if memory.size <= KEPT:
            _of_thread.memory = memory
