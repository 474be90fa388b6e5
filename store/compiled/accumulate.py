"""Adding images to their statistics: the compiled loop behind `store.image_statistics`."""

import numpy as np

from store.compiled.compiler import compiled
from store.compiled.intrinsics import count_bits, lowest_bit, nonzero_of_64

MANTISSA_BITS = 8  # kept in a key: two values with the same key differ by at most 1 part in 256
OCTAVES = 512  # sign and exponent, the other bits of a key
SIGN = np.uint32(0x80000000)
KEY = np.uint32((1 << MANTISSA_BITS) - 1)  # the bits of the mantissa in a key
HITS_AT_ONCE = 4


@compiled
def accumulate(images, label, count, empty, sums, minimum, maximum, octave_row, keys, used):
    """Add images to the arrays of an `ImageStatistics`, in place, as long as `keys` has enough rows.

    Parameters
    ----------
    images
        float32 (n, pixel * channel), C-contiguous.
    label
        uint8 (n,), class of each image.
    count, empty, sums, minimum, maximum, octave_row, keys
        See the attributes of the statistics; `sums` is float64 (class, pixel * channel, 2) here.
    used
        Number of rows of `keys` in use.

    Returns
    -------
    (int, int)
        Number of images that were added, and number of rows of `keys` that are in use now.
    """
    size = np.uint64(images.shape[1])
    bits = images.view(np.uint32)
    channel_of = (np.arange(images.shape[1]) % minimum.shape[1]).astype(np.uint64)
    hits = np.empty(images.shape[1] + HITS_AT_ONCE, np.uint64)
    for k in range(images.shape[0]):
        c = np.uint64(label[k])
        row, pattern = images[k], bits[k]
        hit_count = np.uint64(0)
        for first in range(np.uint64(0), size, np.uint64(64)):
            hit_count = append_hits(nonzero(row, first, size), first, hits, hit_count)
        if used + min(hit_count, minimum.shape[1] * OCTAVES) > keys.shape[0]:
            return k, used
        for i in range(hit_count):
            p = hits[i]
            channel = channel_of[p]
            value = np.float64(row[p])
            sums[c, p, 0] += value
            sums[c, p, 1] += value * value
            if value < minimum[c, channel]:
                minimum[c, channel] = value
            if value > maximum[c, channel]:
                maximum[c, channel] = value
            sign = np.uint32(np.int32(pattern[p]) >> 31)  # all ones for negative values
            key = (pattern[p] ^ (sign | SIGN)) >> np.uint32(23 - MANTISSA_BITS)
            octave = np.uint64(key >> np.uint32(MANTISSA_BITS))
            key_row = octave_row[c, channel, octave]
            if key_row < 0:
                key_row = octave_row[c, channel, octave] = used
                used += 1
            keys[np.uint64(key_row), np.uint64(key & KEY)] += 1
        count[c] += 1
        empty[c] += hit_count == 0
    return images.shape[0], used


@compiled
def nonzero(row, first, size):
    """Return a uint64 in which bit i is set if ``first + i < size`` and ``row[first + i]`` is not zero.

    `row` is C-contiguous float32 (size,).
    """
    if first + np.uint64(64) <= size:
        return nonzero_of_64(row, first)
    mask = np.uint64(0)
    for i in range(size - first):
        mask |= np.uint64(row[first + i] != 0) << i
    return mask


@compiled
def append_hits(occupied, first, hits, hit_count):
    """Append ``first + i`` to `hits` for each set bit i of the uint64 `occupied`, and return the new `hit_count`.

    Always writes a multiple of four numbers; those beyond the returned count mean nothing. A branch for each bit would
    be mispredicted often, which costs more.
    """
    end = hit_count + count_bits(occupied)
    while True:
        for i in range(np.uint64(HITS_AT_ONCE)):
            hits[hit_count + i] = first + lowest_bit(occupied)
            occupied &= occupied - np.uint64(1)
        if occupied == 0:
            return end
        hit_count += np.uint64(HITS_AT_ONCE)
