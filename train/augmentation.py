"""Augmentation: the same changes to the same samples in both frameworks, drawn by arithmetic, made while decoding."""

from dataclasses import dataclass

import numba
import numpy as np

from store.compiled.permutation import hash_below, make_keys
from store.datasets import DatasetSpec
from store.errors import ConfigError
from store.stream import Batch

STREAM = 0xF11B  # keeps these draws apart from those of the sample order
IETA, IPHI, TURN = 1, 2, 4  # mirrored along an axis, after the axes are exchanged: a mirror and an exchange are a turn
SYMMETRIES = {
    "flip-ieta": (0, IETA),
    "flips": (0, IETA, IPHI, IETA | IPHI),
    "rotations": (0, TURN | IETA, IETA | IPHI, TURN | IPHI),
    "flips-rotations": tuple(range(8)),
}


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Turns or mirrors each image about the seed cell in one of several ways, all equally likely.

    A flip takes cell i to ``2 * seed - i``, modulo the image's size. Which way an image takes depends on the seed, the
    epoch and the sample alone.

    Attributes
    ----------
    name
        ``flip-ieta`` mirrors a random half of the images in ieta, ``flips`` another half in iphi too; ``rotations``
        turns each by 0, 90, 180 or 270 degrees; ``flips-rotations`` takes any of the eight symmetries of a square.
        Crystals that are tilted in phi, as those of CMS are, make showers unlike their mirror images in iphi.
    description
        Says where the seed cell is.
    seed
        Chooses the draws.

    Raises
    ------
    ConfigError
        If images are to be turned that are not square with the seed in their middle.
    """

    name: str
    spec: DatasetSpec
    seed: int

    def __post_init__(self) -> None:
        rows, columns, _ = self.spec.image_shape
        ieta, iphi = self.spec.seed
        turns = any(way & TURN for way in SYMMETRIES[self.name])
        if turns and not rows == columns == 2 * ieta + 1 == 2 * iphi + 1:
            raise ConfigError(
                f"augmentation {self.name!r} needs square images with the seed in the middle, {self.spec.name} "
                f"has {rows} x {columns} with the seed at ({ieta}, {iphi}); use flips"
            )

    def __call__(self, batch: Batch, epoch: int) -> None:
        """Change the images of a batch in place."""
        key = make_keys(STREAM, self.seed, epoch)[0]
        _change(batch.image, batch.sample, key, np.array(SYMMETRIES[self.name]), *self.spec.seed)


@numba.njit(cache=True, nogil=True)
def _change(image, sample, key, ways, seed_ieta, seed_iphi):
    for k in range(sample.size):
        way = ways[hash_below(np.uint64(sample[k]), key, np.uint64(ways.size))]
        if way & TURN:
            _exchange(image[k])
        if way & IETA:
            _mirror(image[k], seed_ieta)
        if way & IPHI:
            _mirror(image[k].transpose(1, 0, 2), seed_iphi)


@numba.njit(cache=True, nogil=True)
def _exchange(image):
    """Exchange the first two axes of a square image, in place."""
    size, _, channels = image.shape
    for i in range(size):
        for j in range(i):
            for channel in range(channels):
                a, b = image[i, j, channel], image[j, i, channel]
                image[i, j, channel], image[j, i, channel] = b, a


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
