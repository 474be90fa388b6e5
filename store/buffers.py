"""Reusable batch buffers, recycled once nothing refers to them."""

import mmap
import sys
import threading
from collections.abc import Callable

import numpy as np

from store.arrays import Float32Array


def huge_pages(shape: tuple[int, ...]) -> Float32Array:
    """Return a new float32 array that starts at a page boundary, in huge pages where the system has them.

    From a page boundary, frameworks use the memory without copying it.
    """
    private = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS  # shared memory would get no huge pages
    memory = mmap.mmap(-1, max(1, 4 * int(np.prod(shape))), private)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        memory.madvise(mmap.MADV_HUGEPAGE)
    return np.ndarray(shape, np.float32, buffer=memory)


class BufferPool:
    """Float32 buffers of one shape, recycled once nothing refers to them, not even a view.

    New memory would cost a page fault per page in every batch.

    Parameters
    ----------
    shape
        Shape of each buffer.
    keep
        Number of buffers to recycle. When more are in use at once, the additional ones are freed after use.

    Attributes
    ----------
    keep : int
        See above.
    allocate : callable
        Function that returns a new array of a given shape, which must not be a view of another one. It may be replaced
        before the first buffer is taken, for example to get memory from which a device copies directly.
    """

    def __init__(self, shape: tuple[int, ...], keep: int = 0) -> None:
        self.allocate: Callable[[tuple[int, ...]], Float32Array] = huge_pages
        self.keep = keep
        self._shape = shape
        self._buffers: list[Float32Array] = []
        self._lock = threading.Lock()

    def take(self) -> Float32Array:
        """Return a buffer that nothing else refers to; its content is undefined."""
        with self._lock:
            for buffer in self._buffers:
                if sys.getrefcount(buffer) == 3:  # the list, this variable and the argument of getrefcount
                    return buffer
            buffer = self.allocate(self._shape)
            if len(self._buffers) < self.keep:
                self._buffers.append(buffer)
            return buffer

    def grow(self, shape: tuple[int, ...]) -> None:
        """Give buffers of another shape from now on, unless it is smaller; those given so far are freed after use."""
        with self._lock:
            if np.prod(shape) > np.prod(self._shape):
                self._shape, self._buffers = shape, []
