"""Memory for batches, used again as soon as nobody holds it."""

import mmap
import sys
import threading
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


def huge_pages(shape: tuple[int, ...]) -> Floats:
    """Return an array at the start of a page, which frameworks take over without a copy, in huge pages if there are."""
    private = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS  # memory that could be shared gets no huge pages
    memory = mmap.mmap(-1, max(1, 4 * int(np.prod(shape))), private)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        memory.madvise(mmap.MADV_HUGEPAGE)
    return np.ndarray(shape, np.float32, buffer=memory)


class BufferPool:
    """Float32 buffers of one shape, given again once nobody else holds them: fresh memory costs a page fault a page.

    Parameters
    ----------
    shape
        Of every buffer.
    keep
        Buffers kept for another time; whoever holds more gets fresh ones.

    Attributes
    ----------
    allocate
        Makes a buffer; what it returns must not be a view of another array. A feed may put another function here
        before the first buffer is taken, for memory that its device can copy from directly.
    """

    def __init__(self, shape: tuple[int, ...], keep: int) -> None:
        self.allocate: Callable[[tuple[int, ...]], Floats] = huge_pages
        self._shape, self._keep = shape, keep
        self._buffers: list[Floats] = []
        self._lock = threading.Lock()

    def take(self) -> Floats:
        """Return a buffer that only the caller holds; its content is whatever was there."""
        with self._lock:
            for buffer in self._buffers:
                if sys.getrefcount(buffer) == 3:  # the list, the loop variable, the argument
                    return buffer
            buffer = self.allocate(self._shape)
            if len(self._buffers) < self._keep:
                self._buffers.append(buffer)
            return buffer
