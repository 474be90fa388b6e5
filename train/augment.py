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
    rows, columns = image.shape[1], image.shape[2]
    for k in range(sample.size):
        draw = hash_below(np.uint64(sample[k]), key, np.uint64(4))
        if draw & np.uint64(1):
            for i in range(rows):
                j = (2 * seed_ieta - i) % rows
                if i < j:
                    for c in range(columns):
                        for channel in range(image.shape[3]):
                            a, b = image[k, i, c, channel], image[k, j, c, channel]
                            image[k, i, c, channel], image[k, j, c, channel] = b, a
        if draw & np.uint64(2):
            for i in range(columns):
                j = (2 * seed_iphi - i) % columns
                if i < j:
                    for r in range(rows):
                        for channel in range(image.shape[3]):
                            a, b = image[k, r, i, channel], image[k, r, j, channel]
                            image[k, r, i, channel], image[k, r, j, channel] = b, a
