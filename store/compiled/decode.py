"""Decoding samples out of the chunks of shards, which are mapped into memory or read from files.

Each sample is an LZ4 block, decoded by the bounds-checked C function ``LZ4_decompress_safe``, which the Blosc extension
of numcodecs contains. Its address is passed to the compiled loop as a number at run time: numba could not keep machine
code on disk that contains the address.
"""

import ctypes
import ctypes.util
import functools
import struct

import numcodecs.blosc
import numpy as np

from store.blosc import decode_block
from store.compiled.compiler import compiled
from store.compiled.intrinsics import (
    call_lz4,
    call_pread,
    copy_bytes,
    fill_zero,
    load_acquire,
    load_int32,
    load_int64,
    prefetch,
)

AHEAD = 12  # samples between requesting the cache lines of a sample and decoding it
WRONG_HEADER, WRONG_OFFSET, WRONG_BLOCK, WRONG_INDEX, UNREADABLE, NOT_OPEN = 1, 2, 3, 4, 5, 6
ZEROS = -1  # as the size of a shard that is not stored, because all its samples are zeros


@functools.cache  # finding the system's liblz4 starts a process
def lz4_address() -> int:
    """Return the address of ``LZ4_decompress_safe``, from numcodecs or the system's liblz4, or 0 if neither has it."""
    for find in (lambda: numcodecs.blosc.__file__, lambda: ctypes.util.find_library("lz4")):
        try:
            function = ctypes.CDLL(find()).LZ4_decompress_safe
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
def decode_samples(lz4, address, size, chunks, chunk, sample_bytes, samples, out):
    """Decode samples into consecutive rows of the output; nothing else is read or written, whatever the bytes are.

    Parameters
    ----------
    lz4
        Address of ``LZ4_decompress_safe``.
    address
        int64 (shard count,), address of each shard in memory.
    size
        Address of int64 (shard count,): bytes of each shard, `ZEROS`, or 0 for a shard that is not open. Other threads
        may open shards meanwhile: they set the address of a shard before its size.
    chunks
        Chunks per shard.
    chunk
        Samples per chunk.
    sample_bytes
        Bytes of a decoded sample.
    samples
        int64 (n,), positions of the samples, all of them within the shards.
    out
        Address of the output, ``n * sample_bytes`` bytes.

    Returns
    -------
    (int, int)
        ``(0, 0)``, or the index in `samples` of the first that cannot be decoded and the reason: `WRONG_HEADER`,
        `WRONG_OFFSET`, `WRONG_BLOCK`, `WRONG_INDEX` or `NOT_OPEN`.
    """
    index_bytes = 16 * chunks + 4
    entry = np.empty(samples.size, np.int64)  # address of the chunk's entry in the index of its shard
    inside = np.empty(samples.size, np.int64)  # number of the sample in its chunk
    start = np.empty(samples.size, np.int64)  # address of the chunk
    length = np.empty(samples.size, np.int64)  # bytes of the chunk; 0 for zeros, or a reason with the opposite sign
    for step in range(-3 * AHEAD, samples.size):
        k = step + 3 * AHEAD
        if k < samples.size:
            number = samples[k] // chunk
            inside[k] = samples[k] - number * chunk
            shard = number // chunks
            bytes_of_shard = load_acquire(size + 8 * shard)
            if bytes_of_shard > 0:
                start[k] = address[shard]
                length[k] = bytes_of_shard - index_bytes
                entry[k] = start[k] + length[k] + 16 * (number - shard * chunks)
                prefetch(entry[k])
            else:
                entry[k] = 0
                length[k] = 0 if bytes_of_shard == ZEROS else -NOT_OPEN
        k = step + 2 * AHEAD
        if 0 <= k < samples.size and entry[k]:
            offset, stored = load_int64(entry[k]), load_int64(entry[k] + 8)
            if offset == -1:
                length[k] = 0
            elif not 0 <= offset <= length[k] or not 0 <= stored <= length[k] - offset:
                length[k] = -WRONG_INDEX
            else:
                start[k] += offset
                length[k] = stored
                prefetch(start[k])
                prefetch(start[k] + 16 + 4 * inside[k])
        k = step + AHEAD
        if 0 <= k < samples.size and length[k] >= 16 + 4 * chunk:
            block = start[k] + load_int32(start[k] + 16 + 4 * inside[k])
            for line in range(0, 512, 64):
                prefetch(block + line)
        if step >= 0:
            defect = decode_sample(
                lz4, start[step], length[step], chunk, sample_bytes, inside[step], out + step * sample_bytes
            )
            if defect:
                return step, defect
    return 0, 0


@compiled
def read_samples(lz4, pread, file, entry, chunk, sample_bytes, samples, rows, out, memory, entry_in_memory):
    """Read chunks from files, one after another, and decode samples of each before the next one is read.

    Parameters
    ----------
    lz4, chunk, sample_bytes, out
        As for `decode_samples`.
    pread
        Address of the C function ``pread``.
    file
        int64 (n,), descriptor of the file with the chunk of each sample; it is not used for a chunk of zeros.
    entry
        int64 (n,), address of the offset of the chunk of each sample in its file, after which its size follows, both
        int64; the size of a chunk of zeros is 0.
    samples
        int64 (n,), positions of the samples; the samples of a chunk should follow each other.
    rows
        int64 (n,), row of the output for each sample.
    memory
        Address of memory for one chunk.
    entry_in_memory
        Address of the entry of the chunk that is there already, or 0.

    Returns
    -------
    (int, int)
        As for `decode_samples`; the reason may also be `UNREADABLE`.
    """
    for k in range(samples.size):
        length = load_int64(entry[k] + 8)
        if entry[k] != entry_in_memory and length > 0:
            if call_pread(pread, file[k], memory, length, load_int64(entry[k])) != length:
                return k, UNREADABLE
            entry_in_memory = entry[k]
        defect = decode_sample(
            lz4, memory, length, chunk, sample_bytes, samples[k] % chunk, out + rows[k] * sample_bytes
        )
        if defect:
            return k, defect
    return 0, 0


@compiled
def decode_sample(lz4, start, length, chunk, sample_bytes, index, row):
    """Decode one sample of a chunk to address `row`; return its defect, or 0.

    The chunk has `length` bytes at address `start`; it is zeros if that is 0, and a negative one is a defect found
    before.
    """
    table_end = 16 + 4 * chunk
    if length == 0:
        fill_zero(row, sample_bytes)
        return 0
    if length < 0:
        return -length
    if length < table_end:
        return WRONG_OFFSET
    versions = load_int32(start)
    flags = (versions >> 16) & 0xFF
    if (versions & 0xFF) != 2 or (flags & 0x5) != 0 or (flags >> 5) != 1:
        return WRONG_HEADER
    if load_int32(start + 4) != chunk * sample_bytes or load_int32(start + 8) != sample_bytes:
        return WRONG_HEADER
    if flags & 0x2:
        if length < 16 + chunk * sample_bytes:
            return WRONG_OFFSET
        copy_bytes(start + 16 + index * sample_bytes, row, sample_bytes)
        return 0
    offset = load_int32(start + 16 + 4 * index)
    if offset < table_end or offset > length - 4:
        return WRONG_OFFSET
    packed = load_int32(start + offset)
    if packed <= 0 or packed > length - 4 - offset:
        return WRONG_OFFSET
    if packed == sample_bytes:
        copy_bytes(start + offset + 4, row, sample_bytes)
    elif call_lz4(lz4, start + offset + 4, row, packed, sample_bytes) != sample_bytes:
        return WRONG_BLOCK
    return 0
