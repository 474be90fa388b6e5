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
DRAWS = 0xF11B  # first key of these random numbers; it keeps them independent of those that order the samples


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Applies a random symmetry, a flip or rotation about the seed cell, to each image; all are equally likely.

    A flip moves cell i to cell ``2 * seed - i``, modulo the size of the image. Which symmetry is applied depends only
    on the seed of the training, the epoch and the position of the sample in the store. Images are changed by the
    threads that decode them.

    Attributes
    ----------
    name
        One of `SYMMETRIES`. ``flip-ieta`` flips a random half of the images in ieta; ``flips`` flips a random half in
        ieta and, independently, a random half in iphi; ``rotations`` rotates by 0, 90, 180 or 270 degrees;
        ``flips-rotations`` applies any of the eight symmetries of a square. Detectors whose crystals are tilted in phi,
        such as that of CMS, are not symmetric in iphi.
    spec
        The data set, which states the position of the seed cell.
    seed
        Seed of the training.

    Raises
    ------
    ConfigError
        If images would be rotated but are not square with the seed cell in the middle.
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
