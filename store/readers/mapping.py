"""Files mapped into memory without being kept open: a store may have more shards than a process may open files.

The ``mmap`` of Python 3.11 and 3.12 keeps a descriptor for as long as the map lasts; the C functions do not.
"""

import ctypes
import mmap
import os
import weakref
from pathlib import Path
from typing import Any

from store.readers.bus_errors import install_handler, mapped

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = [
    ctypes.c_void_p,
    ctypes.c_size_t,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_long,
]
_libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
_libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
MAP_FAILED = ctypes.c_void_p(-1).value


def _unmap(address: int, size: int) -> None:
    del mapped[address]
    _libc.munmap(address, size)


class MappedFile:
    """A file mapped into memory, read-only; ``numpy.asarray`` gives its bytes, uint8 (size,).

    The map lasts as long as this object or an array over it, even if the file is replaced or removed meanwhile. If
    another program shortens the file in place, reading the missing part ends the process with a line that names it; see
    `store.readers.bus_errors`.

    Parameters
    ----------
    path
        The file.

    Attributes
    ----------
    address : int
        Address of the first byte in memory.
    size : int
        Number of bytes.
    identity : tuple of int
        Device and inode.

    Raises
    ------
    OSError
        If the file cannot be opened or mapped; it names `path`.
    ValueError
        If the file is empty.
    """

    def __init__(self, path: Path) -> None:
        with path.open("rb", buffering=0) as file:
            status = os.fstat(file.fileno())
            self.size = status.st_size
            self.identity = status.st_dev, status.st_ino
            if self.size == 0:
                raise ValueError(f"{path} is empty")
            address = _libc.mmap(None, self.size, mmap.PROT_READ, mmap.MAP_SHARED, file.fileno(), 0)
        if address == MAP_FAILED:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(path))
        self.address: int = address
        mapped[address] = self.size, path
        install_handler()
        # At the end of the process a thread may still be reading, and the system unmaps everything anyway.
        weakref.finalize(self, _unmap, address, self.size).atexit = False

    def read_ahead(self) -> None:
        """Ask the system to read the whole file into the page cache, in order and in the background."""
        _libc.madvise(self.address, self.size, mmap.MADV_WILLNEED)

    @property
    def __array_interface__(self) -> dict[str, Any]:
        return {"version": 3, "shape": (self.size,), "typestr": "|u1", "data": (self.address, True)}
