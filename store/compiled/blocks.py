"""Making Blosc blocks of samples and moving them: compression, sorted groups of an ingest, chunks of a shard.

Samples are compressed by the C function ``LZ4_compress_fast`` that the Blosc extension of numcodecs contains, with the
arguments that Blosc would give it, so that the blocks are those of Blosc.
"""

import ctypes

import numcodecs.blosc

from store.compiled.compiler import compiled
from store.compiled.intrinsics import (
    call_lz4_fast,
    copy_bytes,
    load_int32,
    load_int64,
    prefetch,
    store_int32,
    store_int64,
)

AHEAD = 8  # blocks between requesting the cache lines of a block and copying it
PREFETCHED = 768  # bytes of a block


def lz4_fast_address() -> int:
    """Return the address of numcodecs' own ``LZ4_compress_fast``, or 0 if its extension does not export it.

    No other library will do: another version of LZ4 could write other bytes.
    """
    try:
        function = ctypes.CDLL(numcodecs.blosc.__file__).LZ4_compress_fast
    except (AttributeError, OSError):
        return 0
    return ctypes.cast(function, ctypes.c_void_p).value or 0


@compiled
def encode_blocks(lz4, source, sample_bytes, group, acceleration, target, size):
    """Compress samples into blocks that follow each other, as Blosc does it in calls for `group` samples each.

    Blosc stores samples as they are where LZ4 does not make them smaller, and all samples of a call if their blocks
    would need more room than that.

    Parameters
    ----------
    lz4
        Address of ``LZ4_compress_fast``.
    source
        Address of the samples.
    sample_bytes
        Bytes of a sample.
    group
        Samples that Blosc would compress in one call, or 0 if each is compressed without Blosc.
    acceleration
        Of LZ4.
    target
        Address of the blocks, with room for ``n * (4 + sample_bytes)`` bytes and, if `group` is 0, `bound` more.
    size
        int64 (n,), set to the size of each block.

    Returns
    -------
    int
        Bytes of all blocks.
    """
    at, step = target, max(1, group)
    for first in range(0, size.size, step):
        last = min(size.size, first + step)
        start, stored = at, False
        most = 16 + (last - first) * sample_bytes
        used = 16 + 4 * (last - first)
        for k in range(first, last):
            used += 4
            room = min(sample_bytes, most - used) if group else bound(sample_bytes)
            if room <= 0:
                stored = True
                break
            sample = source + k * sample_bytes
            packed = call_lz4_fast(lz4, sample, at + 4, sample_bytes, room, acceleration)
            if packed <= 0 or packed >= sample_bytes:
                if group and used + sample_bytes > most:
                    stored = True
                    break
                copy_bytes(sample, at + 4, sample_bytes)
                packed = sample_bytes
            store_int32(packed, at)
            size[k] = 4 + packed
            at += 4 + packed
            used += packed
        if stored:
            at = start
            for k in range(first, last):
                store_int32(sample_bytes, at)
                copy_bytes(source + k * sample_bytes, at + 4, sample_bytes)
                size[k] = 4 + sample_bytes
                at += 4 + sample_bytes
    return at - target


@compiled
def bound(size):
    """Return the most bytes that LZ4 makes of `size` bytes."""
    return size + size // 255 + 16


@compiled
def join_chunks(address, size, chunk, header, zero, target, chunk_size):
    """Join blocks to Blosc chunks, which follow each other.

    Parameters
    ----------
    address, size
        int64 (n,), address and bytes of each block.
    chunk
        Blocks per chunk.
    header
        uint8 (12,), header of all chunks without their size.
    zero
        uint8, block with which the last chunk is filled up.
    target
        Address of the chunks.
    chunk_size
        int64 (chunk count,), set to the size of each chunk.
    """
    for number in range(chunk_size.size):
        start, first = target, number * chunk
        last = min(size.size, first + chunk)
        copy_bytes(header.ctypes.data, start, header.size)
        table = start + header.size + 4
        target = table + 4 * chunk
        for k in range(first, last):
            if k + AHEAD < size.size:
                for line in range(0, min(PREFETCHED, size[k + AHEAD]), 64):
                    prefetch(address[k + AHEAD] + line)
            store_int32(target - start, table + 4 * (k - first))
            copy_bytes(address[k], target, size[k])
            target += size[k]
        for k in range(last - first, chunk):
            store_int32(target - start, table + 4 * k)
            copy_bytes(zero.ctypes.data, target, zero.size)
            target += zero.size
        chunk_size[number] = target - start
        store_int32(target - start, start + header.size)


@compiled
def count_equal(address, size, block):
    """Return how many blocks at `address`, of `size` bytes, both int64 (n,), are equal to `block`, at least 4 bytes."""
    count, expected = 0, block.ctypes.data
    for k in range(size.size):
        if size[k] == block.size:
            same = True
            for byte in range(block.size - 3):
                same &= load_int32(address[k] + byte) == load_int32(expected + byte)
            count += same
    return count


@compiled
def pack_groups(position, address, size, order, group, target, ends):
    """Write blocks in the order `order`, in groups of `group`: positions and sizes as int64, then the blocks.

    Parameters
    ----------
    position, address, size
        int64 (n,), position in the store, address and bytes of each block.
    order
        int64 (n,), numbers of the blocks.
    group
        Blocks per group; the last one has what is left.
    target
        Address of the first group.
    ends
        int64 (group count,), set to the bytes up to the end of each group.
    """
    at = target
    for number in range(ends.size):
        first = number * group
        last = min(order.size, first + group)
        count = last - first
        for k in range(first, last):
            store_int64(position[order[k]], at + 8 * (k - first))
            store_int64(size[order[k]], at + 8 * (k - first + count))
        at += 16 * count
        for k in range(first, last):
            if k + AHEAD < order.size:
                coming = order[k + AHEAD]
                for line in range(0, min(PREFETCHED, size[coming]), 64):
                    prefetch(address[coming] + line)
            block = order[k]
            copy_bytes(address[block], at, size[block])
            at += size[block]
        ends[number] = at - target


@compiled
def find_blocks(groups, samples, group, start, address, size):
    """Enter the blocks of some consecutive groups, as `pack_groups` writes them, in two tables by position.

    Parameters
    ----------
    groups
        Address of the first of the groups.
    samples
        Number of blocks in them; all but the last group have `group`.
    group
        Blocks per group.
    start
        Position of the first entry of the tables.
    address, size
        int64 (n,), address and bytes of the block with each position; those of other positions are not entered.
    """
    at = groups
    for first in range(0, samples, group):
        count = min(group, samples - first)
        block = at + 16 * count
        for k in range(count):
            place = load_int64(at + 8 * k) - start
            length = load_int64(at + 8 * (k + count))
            if 0 <= place < address.size:
                address[place] = block
                size[place] = length
            block += length
        at = block
