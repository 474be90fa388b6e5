"""The compiled loop that decodes samples, and what numba cannot say by itself: read and call at an address, find hits.

The C function is LZ4's bounds-checked ``LZ4_decompress_safe``, which the Blosc extension of numcodecs carries; taking
its address at run time, instead of binding it, lets the compiled loop that calls it be cached on disk.
"""

import ctypes
import ctypes.util
import struct

import numcodecs.blosc

from store.blosc import decode_block
from store.compiled.compiler import compiled
from store.compiled.intrinsics import call_lz4, copy_bytes, fill_zero, load_int32, prefetch

AHEAD = 12  # samples between asking for a cache line and using it


def lz4_address() -> int:
    """Return the address of ``LZ4_decompress_safe``, from numcodecs or the system's liblz4, or 0 if neither has it."""
    for library in (numcodecs.blosc.__file__, ctypes.util.find_library("lz4")):
        try:
            function = ctypes.CDLL(library).LZ4_decompress_safe
        except (AttributeError, OSError, TypeError):
            continue
        return ctypes.cast(function, ctypes.c_void_p).value or 0
    return 0


@ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_int)
def _public_decoder(source: int, target: int, size: int, capacity: int) -> int:
    """Do what ``LZ4_decompress_safe`` does through the public functions of numcodecs, more slowly."""
    try:
        sample = decode_block(struct.pack("<i", size) + ctypes.string_at(source, size), capacity)
    except RuntimeError:
        return -1
    ctypes.memmove(target, sample, len(sample))
    return len(sample)


def public_address() -> int:
    """Return the address of a function that stands in for ``LZ4_decompress_safe`` where that cannot be found."""
    return ctypes.cast(_public_decoder, ctypes.c_void_p).value or 0


@compiled
def decode_samples(lz4, address, size, chunk, sample_bytes, samples, out):
    """Decode samples into consecutive rows at address `out`; return where and why it stopped, or (0, 0).

    Nothing outside the chunks and the rows is read or written, whatever the bytes are.
    """
    table_end = 16 + 4 * chunk
    for k in range(samples.size):
        if k + 2 * AHEAD < samples.size:
            sample = samples[k + 2 * AHEAD]
            prefetch(address[sample // chunk])
            prefetch(address[sample // chunk] + 16 + 4 * (sample % chunk))
        if k + AHEAD < samples.size:
            sample = samples[k + AHEAD]
            start = address[sample // chunk]
            if size[sample // chunk] >= table_end:
                block = start + load_int32(start + 16 + 4 * (sample % chunk))
                for line in range(0, 512, 64):
                    prefetch(block + line)
        sample = samples[k]
        start, length = address[sample // chunk], size[sample // chunk]
        row = out + k * sample_bytes
        if length == 0:
            fill_zero(row, sample_bytes)
            continue
        if length < table_end:
            return k, 2
        versions = load_int32(start)
        flags = (versions >> 16) & 0xFF
        if (versions & 0xFF) != 2 or (flags & 0x5) != 0 or (flags >> 5) != 1:
            return k, 1
        if load_int32(start + 4) != chunk * sample_bytes or load_int32(start + 8) != sample_bytes:
            return k, 1
        if flags & 0x2:
            if length < 16 + chunk * sample_bytes:
                return k, 2
            copy_bytes(start + 16 + (sample % chunk) * sample_bytes, row, sample_bytes)
            continue
        offset = load_int32(start + 16 + 4 * (sample % chunk))
        if offset < table_end or offset > length - 4:
            return k, 2
        packed = load_int32(start + offset)
        if packed <= 0 or packed > length - 4 - offset:
            return k, 2
        if packed == sample_bytes:
            copy_bytes(start + offset + 4, row, sample_bytes)
        elif call_lz4(lz4, start + offset + 4, row, packed, sample_bytes) != sample_bytes:
            return k, 3
    return 0, 0
