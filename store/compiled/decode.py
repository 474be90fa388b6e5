"""The compiled loop that decodes samples, and what numba cannot say by itself: read and call at an address, find hits.

The C function is LZ4's bounds-checked ``LZ4_decompress_safe``, which the Blosc extension of numcodecs carries; taking
its address at run time, instead of binding it, lets the compiled loop that calls it be cached on disk.
"""

import ctypes
import ctypes.util
import struct

import numba
import numcodecs.blosc
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from store.blosc import decode_block

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


@intrinsic
def load_int32(typing_context, address):
    """Return the int32 at a readable address, as int64."""

    def code(context, builder, signature, arguments):
        pointer = builder.inttoptr(arguments[0], ir.IntType(32).as_pointer())
        value = builder.load(pointer)
        value.align = 1
        return builder.sext(value, ir.IntType(64))

    return types.int64(types.int64), code


@intrinsic
def prefetch(typing_context, address):
    """Ask the processor to bring the cache line at an address; harmless whatever the address."""

    def code(context, builder, signature, arguments):
        byte = ir.IntType(8).as_pointer()
        word = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, word, word, word])
        function = builder.module.declare_intrinsic("llvm.prefetch", [byte], kind)
        builder.call(function, [builder.inttoptr(arguments[0], byte), word(0), word(3), word(1)])
        return context.get_dummy_value()

    return types.void(types.int64), code


@intrinsic
def call_lz4(typing_context, function, source, target, size, capacity):
    """Call ``int LZ4_decompress_safe(source, target, size, capacity)`` at address `function`."""

    def code(context, builder, signature, arguments):
        byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(word, [byte, byte, word, word])
        pointer = builder.inttoptr(arguments[0], kind.as_pointer())
        source, target = (builder.inttoptr(argument, byte) for argument in arguments[1:3])
        size, capacity = (builder.trunc(argument, word) for argument in arguments[3:5])
        return builder.sext(builder.call(pointer, [source, target, size, capacity]), ir.IntType(64))

    return types.int64(*[types.int64] * 5), code


@intrinsic
def copy_bytes(typing_context, source, target, size):
    """Copy `size` bytes between two addresses that do not overlap."""

    def code(context, builder, signature, arguments):
        byte = ir.IntType(8).as_pointer()
        source, target = (builder.inttoptr(argument, byte) for argument in arguments[:2])
        numba.core.cgutils.raw_memcpy(builder, target, source, arguments[2], 1)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), code


@intrinsic
def fill_zero(typing_context, target, size):
    """Set `size` bytes at an address to zero."""

    def code(context, builder, signature, arguments):
        byte = ir.IntType(8).as_pointer()
        numba.core.cgutils.memset(builder, builder.inttoptr(arguments[0], byte), arguments[1], 0)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), code


@intrinsic
def lowest_bit(typing_context, word):
    """Return the place of the lowest set bit of a uint64, or 64 if there is none."""

    def code(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.IntType(1)(0))

    return types.uint64(types.uint64), code


@intrinsic
def count_bits(typing_context, word):
    """Return how many bits of a uint64 are set."""

    def code(context, builder, signature, arguments):
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), code


@intrinsic
def nonzero_of_64(typing_context, row, first):
    """Return a uint64 whose bit i says that float32 ``row[first + i]`` is not zero, for 64 values at once."""

    def code(context, builder, signature, arguments):
        vector = ir.VectorType(ir.FloatType(), 64)
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        pointer = builder.bitcast(builder.gep(data, [arguments[1]]), vector.as_pointer())
        values = builder.load(pointer, align=4)
        return builder.bitcast(builder.fcmp_unordered("!=", values, vector([0.0] * 64)), ir.IntType(64))

    return types.uint64(row, types.uint64), code


@numba.njit(cache=True, nogil=True)
def nonzero(row, first, size):
    """Return a uint64 whose bit i says that ``row[first + i]``, C-contiguous float32 (size,), is there and not zero."""
    if first + np.uint64(64) <= size:
        return nonzero_of_64(row, first)
    mask = np.uint64(0)
    for i in range(size - first):
        mask |= np.uint64(row[first + i] != 0) << i
    return mask


@numba.njit(cache=True, nogil=True)
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
