"""Decoding samples out of chunks in memory, and fetching the parts of chunks that this needs from files.

Each sample is an LZ4 block, decoded by the bounds-checked C function ``LZ4_decompress_safe``, which the Blosc extension
of numcodecs contains. Its address is passed to the compiled loop as a number at run time: numba could not keep machine
code on disk that contains the address.
"""

import ctypes
import ctypes.util
import struct

import numcodecs.blosc

from store.blosc import decode_block
from store.compiled.compiler import compiled
from store.compiled.intrinsics import call_lz4, call_pread, copy_bytes, fill_zero, load_int32, prefetch

AHEAD = 12  # samples between requesting the cache lines of a sample and decoding it
WRONG_HEADER, WRONG_OFFSET, WRONG_BLOCK = 1, 2, 3


def lz4_address() -> int:
    """Return the address of ``LZ4_decompress_safe``, from numcodecs or the system's liblz4, or 0 if neither has it."""
    for library in (numcodecs.blosc.__file__, ctypes.util.find_library("lz4")):
        try:
            function = ctypes.CDLL(library).LZ4_decompress_safe
        except (AttributeError, OSError, TypeError):
            continue
        return ctypes.cast(function, ctypes.c_void_p).value or 0
    return 0


@ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_int)  # type: ignore[untyped-decorator]
def _public_decoder(source: int, target: int, size: int, capacity: int) -> int:
    """Stand in for ``LZ4_decompress_safe``, more slowly, with the public functions of numcodecs."""
    try:
        sample = decode_block(struct.pack("<i", size) + ctypes.string_at(source, size), capacity)
    except RuntimeError:
        return -1
    ctypes.memmove(target, sample, len(sample))
    return len(sample)


def public_address() -> int:
    """Return the address of a slower substitute for ``LZ4_decompress_safe``, for systems where that cannot be found."""
    return ctypes.cast(_public_decoder, ctypes.c_void_p).value or 0


def pread_address() -> int:
    """Return the address of the C function ``pread``."""
    return ctypes.cast(ctypes.CDLL(None).pread, ctypes.c_void_p).value or 0


@compiled
def decode_samples(lz4, address, size, chunk, sample_bytes, samples, out):
    """Decode samples into consecutive rows of the output; nothing else is read or written, whatever the bytes are.

    Parameters
    ----------
    lz4
        Address of ``LZ4_decompress_safe``.
    address, size
        int64 (chunk count,), address and bytes of each chunk in memory; size 0 stands for a chunk of zeros.
    chunk
        Samples per chunk.
    sample_bytes
        Bytes of a decoded sample.
    samples
        int64 (n,), positions of the samples, all of them within the chunks.
    out
        Address of the output, ``n * sample_bytes`` bytes.

    Returns
    -------
    (int, int)
        ``(0, 0)``, or the index in `samples` of the first that cannot be decoded and the reason: `WRONG_HEADER`,
        `WRONG_OFFSET` or `WRONG_BLOCK`.
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
            return k, WRONG_OFFSET
        versions = load_int32(start)
        flags = (versions >> 16) & 0xFF
        if (versions & 0xFF) != 2 or (flags & 0x5) != 0 or (flags >> 5) != 1:
            return k, WRONG_HEADER
        if load_int32(start + 4) != chunk * sample_bytes or load_int32(start + 8) != sample_bytes:
            return k, WRONG_HEADER
        if flags & 0x2:
            if length < 16 + chunk * sample_bytes:
                return k, WRONG_OFFSET
            copy_bytes(start + 16 + (sample % chunk) * sample_bytes, row, sample_bytes)
            continue
        offset = load_int32(start + 16 + 4 * (sample % chunk))
        if offset < table_end or offset > length - 4:
            return k, WRONG_OFFSET
        packed = load_int32(start + offset)
        if packed <= 0 or packed > length - 4 - offset:
            return k, WRONG_OFFSET
        if packed == sample_bytes:
            copy_bytes(start + offset + 4, row, sample_bytes)
        elif call_lz4(lz4, start + offset + 4, row, packed, sample_bytes) != sample_bytes:
            return k, WRONG_BLOCK
    return 0, 0


@compiled
def fetch_blocks(pread, file, offset, address, size, chunk, samples):
    """Read what `decode_samples` needs of the chunks of some samples into memory, where each chunk has room as a whole.

    Parameters
    ----------
    pread
        Address of the C function ``pread``.
    file, offset
        int64 (chunk count,), descriptor of the file of each chunk, and position of the chunk in it.
    address, size
        int64 (chunk count,), as for `decode_samples`: where each chunk goes in memory, and its bytes.
    chunk
        Samples per chunk.
    samples
        int64 (n,), positions of the samples, ascending.

    Returns
    -------
    int
        -1, or the chunk that could not be read.
    """
    table_end = 16 + 4 * chunk
    k = 0
    while k < samples.size:
        number = samples[k] // chunk
        first = k
        while k < samples.size and samples[k] // chunk == number:
            k += 1
        start, length = address[number], size[number]
        if length == 0:
            continue
        head = min(length, table_end)  # a shorter chunk is refused when it is decoded
        if call_pread(pread, file[number], start, head, offset[number]) != head:
            return number
        if length <= table_end:
            continue
        begin, end = _span(start, length, chunk, samples[first:k])
        if call_pread(pread, file[number], start + begin, end - begin, offset[number] + begin) != end - begin:
            return number
        for sample in samples[first:k]:
            block = load_int32(start + 16 + 4 * (sample % chunk))
            # In a damaged chunk, a block may be longer than the table says. It is decoded as if the chunk were mapped.
            if end < length and block + 4 + load_int32(start + block) > end:
                begin, end = table_end, length
                if call_pread(pread, file[number], start + begin, end - begin, offset[number] + begin) != end - begin:
                    return number
    return -1


@compiled
def _span(start, length, chunk, samples):
    """Return where the blocks of some samples begin and end in their chunk, whose table of offsets is in memory."""
    table_end = 16 + 4 * chunk
    lowest, highest = length, 0
    for sample in samples:
        block = load_int32(start + 16 + 4 * (sample % chunk))
        lowest, highest = min(lowest, block), max(highest, block)
    if ((load_int32(start) >> 16) & 0x2) or lowest < table_end or highest > length - 4:
        return table_end, length  # samples that are not compressed, or a damaged table
    end = length
    for k in range(chunk):
        block = load_int32(start + 16 + 4 * k)
        if highest < block < end:
            end = block
    return lowest, max(end, highest + 4)
