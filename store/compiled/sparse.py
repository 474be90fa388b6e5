"""Between dense images and their non-zero cells: the compiled loops behind `store.sparse`."""

import numpy as np

from store.compiled.compiler import compiled
from store.compiled.intrinsics import count_bits, lowest_bit, set_of_64

HITS_AT_ONCE = 4
SLACK = HITS_AT_ONCE - 1  # entries that `extract_hits` may write beyond the last hit


@compiled
def count_hits(bits, offset):
    """Count the non-zero cells of images.

    Parameters
    ----------
    bits
        uint32 (n, cell), the bits of the values, C-contiguous.
    offset
        int64 (n + 1,), set to the number of hits of all images before each one, and of all images.
    """
    size = np.uint64(bits.shape[1])
    hits = np.int64(0)
    offset[0] = 0
    for k in range(bits.shape[0]):
        row = bits[k]
        for first in range(np.uint64(0), size, np.uint64(64)):
            hits += np.int64(count_bits(occupied_cells(row, first, size)))
        offset[k + 1] = hits


@compiled
def extract_hits(bits, value, position, offset):
    """Append the non-zero cells of images to arrays of hits, as long as these have room.

    A branch for each hit would be mispredicted often, so hits are written `HITS_AT_ONCE` at a time: up to `SLACK`
    entries beyond the last hit are overwritten.

    Parameters
    ----------
    bits
        uint32 (n, cell), the bits of the values, C-contiguous.
    value
        uint32 (room,), receives the bits of the value of each hit.
    position
        uint16 or uint32 (room,), receives the cell of each hit, in ascending order per image.
    offset
        int64 (n + 1,): ``offset[0]`` is the number of hits that the arrays have; the others are set to the number of
        hits after each image.

    Returns
    -------
    int
        Number of images that were appended. The next one is not if it could need more than the room, whatever it has.
    """
    size = np.uint64(bits.shape[1])
    room = np.int64(value.size) - SLACK
    hits = np.uint64(offset[0])
    for k in range(bits.shape[0]):
        row = bits[k]
        if np.int64(hits) + bits.shape[1] > room and np.int64(hits) + count_row(row, size) > room:
            return k
        for first in range(np.uint64(0), size, np.uint64(64)):
            occupied = occupied_cells(row, first, size)
            end = hits + count_bits(occupied)
            while occupied != 0:
                for i in range(np.uint64(HITS_AT_ONCE)):
                    # Without a bit left, lowest_bit is 64: the entry is slack, but its cell has to be in the row.
                    cell = min(first + lowest_bit(occupied), size - np.uint64(1))
                    value[hits + i] = row[cell]
                    position[hits + i] = cell
                    occupied &= occupied - np.uint64(1)
                hits += np.uint64(HITS_AT_ONCE)
            hits = end
        offset[k + 1] = np.int64(hits)
    return bits.shape[0]


@compiled
def expand_hits(value, position, offset, bits):
    """Write hits into dense images.

    Parameters
    ----------
    value, position
        uint32 (hits,), the bits of the values; uint16 or uint32 (hits,), their cells.
    offset
        int64 (n + 1,), from 0 to `hits`: where the hits of each image begin, and where those of the last one end.
    bits
        uint32 (n, cell), overwritten.

    Returns
    -------
    int
        Number of images that were written; it is less than n if the offsets or the cells of the next one are wrong.
    """
    size = np.uint64(bits.shape[1])
    for k in range(bits.shape[0]):
        row = bits[k]
        row[:] = 0
        if not 0 <= offset[k] <= offset[k + 1] <= value.size:
            return k
        for hit in range(np.uint64(offset[k]), np.uint64(offset[k + 1])):
            cell = np.uint64(position[hit])
            if cell >= size:
                return k
            row[cell] = value[hit]
    return bits.shape[0]


@compiled
def count_row(row, size):
    """Return the number of non-zero cells of a row, uint32 (size,), as int64."""
    hits = np.int64(0)
    for first in range(np.uint64(0), size, np.uint64(64)):
        hits += np.int64(count_bits(occupied_cells(row, first, size)))
    return hits


@compiled
def occupied_cells(row, first, size):
    """Return a uint64 in which bit i is set if ``first + i < size`` and uint32 ``row[first + i]`` is not zero."""
    if first + np.uint64(64) <= size:
        return set_of_64(row, first)
    occupied = np.uint64(0)
    for i in range(size - first):
        occupied |= np.uint64(row[first + i] != 0) << i
    return occupied
