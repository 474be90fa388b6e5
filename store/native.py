"""Two things numba cannot say by itself: read a number at an address, and call a C function at an address.

The C function is LZ4's bounds-checked ``LZ4_decompress_safe``, which the Blosc extension of numcodecs carries; taking
its address at run time, instead of binding it, lets the compiled loop that calls it be cached on disk.
"""

import ctypes
import ctypes.util

import numba
import numcodecs.blosc
from llvmlite import ir
from numba import types
from numba.extending import intrinsic


def lz4_address() -> int:
    """Return the address of ``LZ4_decompress_safe``, from numcodecs or the system's liblz4, or 0 if neither has it."""
    for library in (numcodecs.blosc.__file__, ctypes.util.find_library("lz4")):
        try:
            function = ctypes.CDLL(library).LZ4_decompress_safe
        except (AttributeError, OSError, TypeError):
            continue
        return ctypes.cast(function, ctypes.c_void_p).value or 0
    return 0


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
