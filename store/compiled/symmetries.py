"""Flips and turns of images about the seed cell: the compiled loops behind `train.augmentation`.

A symmetry is a code of three bits. It takes the cell (ieta, iphi) of an image to another one in up to three steps, in
this order: `EXCHANGE` exchanges ieta and iphi, which needs a square image; `IETA` replaces ieta by
``(2 * seed_ieta - ieta) % rows``; `IPHI` replaces iphi by ``(2 * seed_iphi - iphi) % columns``. Channels stay.
"""

import numpy as np

from store.compiled.compiler import compiled
from store.compiled.permutation import hash_below

IETA, IPHI = 1, 2  # bits of a symmetry: mirror the image along this axis
EXCHANGE = 4  # bit of a symmetry: first exchange the two axes; an exchange and one mirror make a quarter turn


@compiled
def apply_random_symmetries(image, sample, key, symmetries, seed_ieta, seed_iphi):
    """Apply to each image one of `symmetries`, drawn by hashing its sample number with `key`, in place.

    Parameters
    ----------
    image
        float32 (n, ieta, iphi, channel); square if any symmetry exchanges the axes.
    sample
        int64 (n,), sample numbers.
    key
        uint64, the same for all images of an epoch.
    symmetries
        int64 (count,), sums of `IETA`, `IPHI` and `EXCHANGE`, each drawn with the same probability.
    seed_ieta, seed_iphi
        The seed cell: mirroring takes cell i to ``2 * seed - i``, modulo the size of the image.
    """
    for k in range(sample.size):
        symmetry = symmetries[hash_below(np.uint64(sample[k]), key, np.uint64(symmetries.size))]
        if symmetry & EXCHANGE:
            exchange_axes(image[k])
        if symmetry & IETA:
            mirror(image[k], seed_ieta)
        if symmetry & IPHI:
            mirror(image[k].transpose(1, 0, 2), seed_iphi)


@compiled
def draw_symmetries(sample, key, symmetries, code):
    """Write to `code`, uint8 (n,), the symmetry of each sample that `apply_random_symmetries` would apply to it."""
    for k in range(sample.size):
        code[k] = symmetries[hash_below(np.uint64(sample[k]), key, np.uint64(symmetries.size))]


@compiled
def move_positions(position, offset, code, shape, seed_ieta, seed_iphi):
    """Apply a symmetry to each image of a sparse batch, in place; positions are then no longer in ascending order.

    Parameters
    ----------
    position, offset
        Of `store.sparse.SparseImages`.
    code
        uint8 (n,), the symmetry of each image.
    shape
        int64 (ieta, iphi, channel).
    seed_ieta, seed_iphi
        The seed cell.
    """
    rows, columns, channels = shape
    for k in range(code.size):
        symmetry = code[k]
        if symmetry == 0:
            continue
        for hit in range(offset[k], offset[k + 1]):
            cell, channel = divmod(np.int64(position[hit]), channels)
            i, j = divmod(cell, columns)
            if symmetry & EXCHANGE:
                i, j = j, i
            if symmetry & IETA:
                i = (2 * seed_ieta - i) % rows
            if symmetry & IPHI:
                j = (2 * seed_iphi - j) % columns
            position[hit] = (i * columns + j) * channels + channel


@compiled
def exchange_axes(image):
    """Exchange the first two axes of a square image (size, size, channel), in place."""
    size, _, channels = image.shape
    for i in range(size):
        for j in range(i):
            for channel in range(channels):
                a, b = image[i, j, channel], image[j, i, channel]
                image[i, j, channel], image[j, i, channel] = b, a


@compiled
def mirror(image, seed):
    """Exchange the slices on both sides of `seed` along the first axis of (size, width, channel), in place."""
    size, width, channels = image.shape
    for i in range(size):
        j = (2 * seed - i) % size
        if i < j:
            for k in range(width):
                for channel in range(channels):
                    a, b = image[i, k, channel], image[j, k, channel]
                    image[i, k, channel], image[j, k, channel] = b, a
