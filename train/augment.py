"""Augmentation: the same changes to the same samples in both frameworks, drawn by arithmetic, made while decoding."""

from dataclasses import dataclass

import numba
import numpy as np

from store.permutation import hash_below, make_keys
from store.schema import Description
from store.stream import Batch

STREAM = 0xF11B  # keeps these draws apart from those of the sample order


@dataclass(frozen=True, kw_only=True)
class Flips:
    """Mirrors a random half of the images in ieta, and another in iphi, about the seed crystal.

    Crystal i goes to ``2 * seed - i``, modulo the image's size. Whether an image is flipped depends on the seed, the
    epoch and the sample alone.

    Attributes
    ----------
    description
        Says where the seed crystal is.
    seed
        Chooses the draws.
    """

    description: Description
    seed: int

    def __call__(self, batch: Batch, epoch: int) -> None:
        """Change the images of a batch in place."""
        key = make_keys(STREAM, self.seed, epoch)[0]
        _flip(batch.image, batch.sample, key, *self.description.seed)


@numba.njit(cache=True, nogil=True)
def _flip(image, sample, key, seed_ieta, seed_iphi):
    for k in range(sample.size):
        draw = hash_below(np.uint64(sample[k]), key, np.uint64(4))
        if draw & np.uint64(1):
            _mirror(image[k], seed_ieta)
        if draw & np.uint64(2):
            _mirror(image[k].transpose(1, 0, 2), seed_iphi)


@numba.njit(cache=True, nogil=True)
def _mirror(image, seed):
    """Exchange the slices on both sides of `seed` along the first axis, in place."""
    size, width, channels = image.shape
    for i in range(size):
        j = (2 * seed - i) % size
        if i < j:
            for k in range(width):
                for channel in range(channels):
                    a, b = image[i, k, channel], image[j, k, channel]
                    image[i, k, channel], image[j, k, channel] = b, a
