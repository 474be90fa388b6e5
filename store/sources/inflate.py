"""Decompressing zlib data into given memory.

The function of libdeflate is called at the address that the extension of the package `deflate` exports.
"""

import ctypes
import importlib.util
from typing import Any

import deflate
import numpy as np

from store.arrays import UInt8Array


def inflate(packed: bytes, out: UInt8Array) -> None:
    """Decompress zlib data, which must fill `out`, uint8 (size,).

    Raises
    ------
    ValueError
        If the data are damaged, or of another size.
    """
    if not LIBRARY:
        data = deflate.zlib_decompress(packed, out.size)
        if len(data) != out.size:
            raise ValueError(f"{len(data)} bytes, expected {out.size}")
        out[:] = np.frombuffer(data, np.uint8)
        return
    decompressor = LIBRARY.libdeflate_alloc_decompressor()
    if not decompressor:
        raise MemoryError
    try:
        failure = LIBRARY.libdeflate_zlib_decompress(decompressor, packed, len(packed), out.ctypes.data, out.size, None)
    finally:
        LIBRARY.libdeflate_free_decompressor(decompressor)
    if failure:
        raise ValueError(FAILURES.get(failure, f"libdeflate error {failure}"))


FAILURES = {1: "damaged zlib data", 2: "zlib data of fewer bytes than the chunk", 3: "zlib data of more bytes than it"}


def _load_library() -> Any:
    """Return libdeflate with the types of its functions, or None if the extension does not export them."""
    found = importlib.util.find_spec("deflate._deflate")
    try:
        library = ctypes.CDLL(found.origin if found else None)
        functions = [getattr(library, f"libdeflate_{name}") for name in ("alloc_decompressor", "free_decompressor")]
        decompress = library.libdeflate_zlib_decompress
    except (AttributeError, OSError):
        return None
    pointer, size = ctypes.c_void_p, ctypes.c_size_t
    functions[0].restype, functions[0].argtypes = pointer, []
    functions[1].restype, functions[1].argtypes = None, [pointer]
    decompress.restype, decompress.argtypes = ctypes.c_int, [pointer, ctypes.c_char_p, size, pointer, size, pointer]
    return library


LIBRARY = _load_library()
