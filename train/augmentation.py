"""Augmentation: the same changes to the same samples in both frameworks, drawn by arithmetic, made while decoding."""

from dataclasses import dataclass

import numpy as np

from store.compiled.permutation import make_keys
from store.compiled.preparation import prepare_symmetries
from store.compiled.symmetries import EXCHANGE, IETA, IPHI, apply_random_symmetries
from store.datasets import DatasetSpec
from store.errors import ConfigError
from store.stream import Batch

STREAM = 0xF11B  # keeps these draws apart from those of the sample order
SYMMETRIES = {
    "flip-ieta": (0, IETA),
    "flips": (0, IETA, IPHI, IETA | IPHI),
    "rotations": (0, EXCHANGE | IETA, IETA | IPHI, EXCHANGE | IPHI),
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
        turns = any(way & EXCHANGE for way in SYMMETRIES[self.name])
        if turns and not rows == columns == 2 * ieta + 1 == 2 * iphi + 1:
            raise ConfigError(
                f"augmentation {self.name!r} needs square images with the seed in the middle, {self.spec.name} "
                f"has {rows} x {columns} with the seed at ({ieta}, {iphi}); use flips"
            )
        prepare_symmetries()

    def __call__(self, batch: Batch, epoch: int) -> None:
        """Change the images of a batch in place."""
        key = make_keys(STREAM, self.seed, epoch)[0]
        apply_random_symmetries(batch.image, batch.sample, key, np.array(SYMMETRIES[self.name]), *self.spec.seed)
