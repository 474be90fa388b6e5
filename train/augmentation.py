"""Augmentation: random flips and rotations of the training images, the same ones in both frameworks."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from store.arrays import Int64Array
from store.datasets import DatasetSpec
from store.errors import ConfigError

if TYPE_CHECKING:
    from store.stream import Batch

SYMMETRIES = ("flip-ieta", "flips", "rotations", "flips-rotations")
DRAWS = 0xF11B  # first key of these draws, which keeps them independent of the order of the samples


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Flips or rotates each image about the seed cell, in one of several ways that are all equally likely.

    A flip moves cell i to cell ``2 * seed - i``, modulo the size of the image. The way is drawn from the seed of the
    training, the epoch and the number of the sample alone. Images are changed by the threads that decode them.

    Attributes
    ----------
    name
        One of `SYMMETRIES`. ``flip-ieta`` flips a random half of the images in ieta; ``flips`` flips a random half in
        ieta and, independently, a random half in iphi; ``rotations`` rotates by 0, 90, 180 or 270 degrees;
        ``flips-rotations`` applies any of the eight symmetries of a square. Detectors whose crystals are tilted in phi,
        such as that of CMS, are not symmetric in iphi.
    spec
        Data set, which has the position of the seed cell.
    seed
        Seed of the training.

    Raises
    ------
    ConfigError
        If images are to be rotated that are not square with the seed cell in the middle.
    """

    name: str
    spec: DatasetSpec
    seed: int

    def __post_init__(self) -> None:
        from store.compiled.preparation import prepare_symmetries

        rows, columns, _ = self.spec.image_shape
        ieta, iphi = self.spec.seed
        if "rotations" in self.name and not rows == columns == 2 * ieta + 1 == 2 * iphi + 1:
            raise ConfigError(
                f"augmentation {self.name!r} needs square images with the seed cell in the middle, {self.spec.name} "
                f"has {rows} x {columns} with the seed cell at ({ieta}, {iphi}); use flips"
            )
        prepare_symmetries()

    def __call__(self, batch: "Batch", epoch: int) -> None:
        """Change the images of a batch in place."""
        from store.compiled.permutation import make_keys
        from store.compiled.symmetries import apply_random_symmetries

        key = make_keys(DRAWS, self.seed, epoch)[0]
        apply_random_symmetries(batch.image, batch.sample, key, symmetry_codes(self.name), *self.spec.seed)


def symmetry_codes(name: str) -> Int64Array:
    """Return the codes, see `store.compiled.symmetries`, of the symmetries that an augmentation draws from."""
    from store.compiled.symmetries import EXCHANGE, IETA, IPHI

    codes = {
        "flip-ieta": [0, IETA],
        "flips": [0, IETA, IPHI, IETA | IPHI],
        "rotations": [0, EXCHANGE | IETA, IETA | IPHI, EXCHANGE | IPHI],
        "flips-rotations": list(range(8)),
    }
    return np.array(codes[name])
