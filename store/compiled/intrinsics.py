"""Operations for which numba has no function, written as LLVM instructions so that compiled functions can call them.

The first argument of each is numba's; callers give the others.
"""

from typing import Any

import numba.extending
from llvmlite import ir
from numba import types
from numba.core import cgutils

intrinsic: Any = numba.extending.intrinsic  # its own type would ask callers for the first argument, too


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
def load_int64(typing_context, address):
    """Return the int64 at a readable address."""

    def code(context, builder, signature, arguments):
        value = builder.load(builder.inttoptr(arguments[0], ir.IntType(64).as_pointer()))
        value.align = 1
        return value

    return types.int64(types.int64), code


@intrinsic
def load_acquire(typing_context, address):
    """Return the int64 at a readable address that is a multiple of 8, and do so before anything that is read later."""

    def code(context, builder, signature, arguments):
        return builder.load_atomic(builder.inttoptr(arguments[0], ir.IntType(64).as_pointer()), "acquire", 8)

    return types.int64(types.int64), code


@intrinsic
def prefetch(typing_context, address):
    """Ask the processor to load the cache line of an address; harmless whatever the address."""

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
def call_pread(typing_context, function, file, target, size, offset):
    """Call ``ssize_t pread(file, target, size, offset)`` at address `function`."""

    def code(context, builder, signature, arguments):
        byte, word, long = ir.IntType(8).as_pointer(), ir.IntType(32), ir.IntType(64)
        pointer = builder.inttoptr(arguments[0], ir.FunctionType(long, [word, byte, long, long]).as_pointer())
        file, target = builder.trunc(arguments[1], word), builder.inttoptr(arguments[2], byte)
        return builder.call(pointer, [file, target, *arguments[3:5]])

    return types.int64(*[types.int64] * 5), code


@intrinsic
def copy_bytes(typing_context, source, target, size):
    """Copy `size` bytes between two addresses that do not overlap."""

    def code(context, builder, signature, arguments):
        byte = ir.IntType(8).as_pointer()
        source, target = (builder.inttoptr(argument, byte) for argument in arguments[:2])
        cgutils.raw_memcpy(builder, target, source, arguments[2], 1)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), code


@intrinsic
def fill_zero(typing_context, target, size):
    """Set `size` bytes at an address to zero."""

    def code(context, builder, signature, arguments):
        byte = ir.IntType(8).as_pointer()
        cgutils.memset(builder, builder.inttoptr(arguments[0], byte), arguments[1], 0)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), code


@intrinsic
def lowest_bit(typing_context, word):
    """Return the index of the lowest set bit of a uint64, or 64 if no bit is set."""

    def code(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.IntType(1)(0))

    return types.uint64(types.uint64), code


@intrinsic
def count_bits(typing_context, word):
    """Return the number of set bits of a uint64."""

    def code(context, builder, signature, arguments):
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), code


@intrinsic
def nonzero_of_64(typing_context, row, first):
    """Return a uint64 in which bit i is set if float32 ``row[first + i]`` is not zero, for 64 values at once."""

    def code(context, builder, signature, arguments):
        vector = ir.VectorType(ir.FloatType(), 64)
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        pointer = builder.bitcast(builder.gep(data, [arguments[1]]), vector.as_pointer())
        values = builder.load(pointer, align=4)
        return builder.bitcast(builder.fcmp_unordered("!=", values, vector([0.0] * 64)), ir.IntType(64))

    return types.uint64(row, types.uint64), code


@intrinsic
def set_of_64(typing_context, row, first):
    """Return a uint64 in which bit i is set if uint32 ``row[first + i]`` is not zero, for 64 values at once."""

    def code(context, builder, signature, arguments):
        vector = ir.VectorType(ir.IntType(32), 64)
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        pointer = builder.bitcast(builder.gep(data, [arguments[1]]), vector.as_pointer())
        values = builder.load(pointer, align=4)
        return builder.bitcast(builder.icmp_unsigned("!=", values, vector([0] * 64)), ir.IntType(64))

    return types.uint64(row, types.uint64), code


@intrinsic
def store_int32(typing_context, value, address):
    """Write the low 32 bits of an int64 to an address."""

    def code(context, builder, signature, arguments):
        pointer = builder.inttoptr(arguments[1], ir.IntType(32).as_pointer())
        builder.store(builder.trunc(arguments[0], ir.IntType(32)), pointer, align=1)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), code


@intrinsic
def store_int64(typing_context, value, address):
    """Write an int64 to an address."""

    def code(context, builder, signature, arguments):
        pointer = builder.inttoptr(arguments[1], ir.IntType(64).as_pointer())
        builder.store(arguments[0], pointer, align=1)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), code


@intrinsic
def call_lz4_fast(typing_context, function, source, target, size, capacity, acceleration):
    """Call ``int LZ4_compress_fast(source, target, size, capacity, acceleration)`` at address `function`."""

    def code(context, builder, signature, arguments):
        byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(word, [byte, byte, word, word, word])
        pointer = builder.inttoptr(arguments[0], kind.as_pointer())
        source, target = (builder.inttoptr(argument, byte) for argument in arguments[1:3])
        numbers = [builder.trunc(argument, word) for argument in arguments[3:]]
        return builder.sext(builder.call(pointer, [source, target, *numbers]), ir.IntType(64))

    return types.int64(*[types.int64] * 6), code
