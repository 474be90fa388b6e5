"""Loops over all values of a source file's chunk: undoing HDF5's shuffle filter, and checking that all are finite."""

import numpy as np

from store.compiled.compiler import compiled


@compiled
def unshuffle(planes, out):
    """Undo HDF5's shuffle filter: join the four byte planes, uint8 (4 * n,), to values, uint32 (n,), in `out`."""
    n = out.size
    for i in range(n):
        low = np.uint32(planes[i]) | np.uint32(planes[n + i]) << np.uint32(8)
        high = np.uint32(planes[2 * n + i]) << np.uint32(16) | np.uint32(planes[3 * n + i]) << np.uint32(24)
        out[i] = low | high


@compiled
def all_finite(bits):
    """Return whether float32 values, given as uint32 (n,), are all finite; NaN and infinity set all exponent bits."""
    bad = np.uint32(0)
    for i in range(bits.size):
        bad |= np.uint32((bits[i] & np.uint32(0x7F800000)) == np.uint32(0x7F800000))
    return bad == 0
