"""Loops over all values of a source file's chunk: undoing HDF5's shuffle filter, and checking that all are finite."""

import numpy as np

from store.compiled.compiler import compiled


@compiled
def unshuffle(planes, first, out):
    """Undo HDF5's shuffle filter for some consecutive values: join their four bytes.

    Parameters
    ----------
    planes
        uint8 (4 * n,), the first byte of each of n values, then the second of each, and so on.
    first
        Number of the first value.
    out
        uint32 (m,), set to the values from `first`.
    """
    m, n = out.size, planes.size // 4
    last = first + m
    byte_0, byte_1 = planes[first:last], planes[n + first : n + last]
    byte_2, byte_3 = planes[2 * n + first : 2 * n + last], planes[3 * n + first : 3 * n + last]
    for i in range(m):  # of slices, so that the compiler makes vector instructions
        low = np.uint32(byte_0[i]) | np.uint32(byte_1[i]) << np.uint32(8)
        high = np.uint32(byte_2[i]) << np.uint32(16) | np.uint32(byte_3[i]) << np.uint32(24)
        out[i] = low | high


@compiled
def all_finite(bits):
    """Return whether float32 values, given as uint32 (n,), are all finite; NaN and infinity set all exponent bits."""
    bad = np.uint32(0)
    for i in range(bits.size):
        bad |= np.uint32((bits[i] & np.uint32(0x7F800000)) == np.uint32(0x7F800000))
    return bad == 0
