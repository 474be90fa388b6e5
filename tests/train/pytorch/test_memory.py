"""Memory that is released stays with the process."""

import ctypes
import subprocess
import sys

import pytest

MAPPED = """
import ctypes, sys
from train.pytorch.memory import keep_memory

class Usage(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in (
        "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")]

library = ctypes.CDLL(None)
library.mallinfo2.restype, library.malloc.restype = Usage, ctypes.c_void_p
if sys.argv[1] == "keep":
    keep_memory()
address = library.malloc(ctypes.c_size_t(64 << 20))
library.free(ctypes.c_void_p(address))
print(library.mallinfo2().fordblks)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="needs version 2.33 of the GNU C library")
@pytest.mark.parametrize(("how", "kept"), [("keep", True), ("return", False)])
def test_released_memory_is_kept(how: str, kept: bool) -> None:
    done = subprocess.run([sys.executable, "-c", MAPPED, how], capture_output=True, text=True, check=True)
    assert (int(done.stdout) >= 64 << 20) is kept
