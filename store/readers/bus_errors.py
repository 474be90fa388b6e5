"""Telling which file was cut short when a process reads a part of a mapped file that is no longer there.

The system then sends SIGBUS, which ends the process without a word. The handler says a line first. It is Python called
from a signal handler, which is safe here although not in general: the fault is in compiled code that only reads.
"""

import ctypes
import os
import signal
import sys
import threading
from pathlib import Path

from store.errors import printable

mapped: dict[int, tuple[int, Path]] = {}
"""Size and file of each map of this process, by its address."""

SIGACTION_BYTES = 256  # more than the C structure has anywhere
SYSTEMS = {  # offsets of sa_flags and si_addr in the C structures, and the value of SA_SIGINFO
    "linux": (8 + 128, 16, 4),
    "darwin": (8 + 4, 24, 0x40),
}
Handler = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)

_libc = ctypes.CDLL(None)
_libc.sigaction.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
_previous = ctypes.create_string_buffer(SIGACTION_BYTES)
_installed = False
_ending = threading.Lock()


def install_handler() -> None:
    """Handle SIGBUS from now on, if it is not handled yet and the system is known."""
    global _installed
    if _installed or sys.platform not in SYSTEMS:
        return
    flags, _, with_address = SYSTEMS[sys.platform]
    action = ctypes.create_string_buffer(SIGACTION_BYTES)
    ctypes.c_void_p.from_buffer(action).value = ctypes.cast(_handler, ctypes.c_void_p).value
    ctypes.c_int.from_buffer(action, flags).value = with_address
    _libc.sigaction(signal.SIGBUS, action, _previous)
    _installed = True


def _handle(_: int, information: int, __: int) -> None:
    """End the process with a line if the fault is in one of its maps; otherwise leave it to the previous handler."""
    fault = ctypes.c_void_p.from_address(information + SYSTEMS[sys.platform][1]).value or 0
    for address, (size, path) in list(mapped.items()):
        if address <= fault < address + size:
            _ending.acquire()  # and never released: if several threads fault at once, one of them says so
            os.write(2, f"error: {printable(str(path))}: {explain(path, size)}\n".encode())
            os._exit(1)
    _libc.sigaction(signal.SIGBUS, _previous, None)


_handler = Handler(_handle)  # a reference that keeps it alive


def explain(path: Path, size: int) -> str:
    """Return why a part of a file cannot be read that had this many bytes when it was opened."""
    try:
        now = path.stat().st_size
    except OSError as error:
        return f"can no longer be read ({error.strerror})"
    if now < size:
        return f"was cut short by another program while it was being read, from {size} bytes to {now}; copy it again"
    return "the system cannot read a part of it; copy it again, or check the disk"
