"""Memory of PyTorch on a CPU."""

import ctypes
import os
import sys

TRIM_THRESHOLD, MAP_THRESHOLD = -1, -3
"""Parameters of ``mallopt``, see ``malloc.h`` of the GNU C library."""
NEVER = 2**30


def keep_memory() -> None:
    """Let this process keep memory that tensors release, in pages of 2 MiB; to be called before PyTorch is imported.

    Every step allocates the same tensors again. The C library would return the large ones to the system each time, and
    the next step would wait while the system clears their pages. Does nothing where the C library is another one.
    """
    if sys.platform != "linux":
        return
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        library.mallopt(MAP_THRESHOLD, NEVER)
        library.mallopt(TRIM_THRESHOLD, NEVER)
