"""Augmentation: random flips and rotations of the training images, the same ones in both frameworks."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from store.arrays import Int64Array, UInt8Array
from store.datasets import DatasetSpec
from store.errors import ConfigError

if TYPE_CHECKING:
    from store.batch import Batch
    from store.sparse import SparseImages

SYMMETRIES = ("flip-ieta", "flips", "rotations", "flips-rotations")
DRAWS = 0xF11B  # first key of these random numbers; it keeps them independent of those that order the samples


def default_augmentation(spec: DatasetSpec) -> str:
    """Return the augmentation of a data set by default: ``flip-ieta`` if its seed is the middle in ieta, or none."""
    return "flip-ieta" if is_middle(spec.seed[0], spec.image_shape[0]) else "none"


def is_middle(seed: int, size: int) -> bool:
    """Return whether the seed is the middle cell of an axis, or one of the two middle cells of an even number."""
    return seed in ((size - 1) // 2, size // 2)


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Applies a random symmetry, a flip or rotation about the seed cell, to each image; all are equally likely.

    A flip moves cell i to cell ``2 * seed - i``, modulo the size of the image; the seed must therefore be the middle of
    the axis, or one of the two middle cells of an even number. Which symmetry is applied depends only on the seed of
    the training, the epoch and the position of the sample in the store. Images are changed by the threads that decode
    them.

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
        If images would be flipped but the seed cell is not in their middle, or rotated but are not square with the seed
        cell exactly in the middle.
    """

    name: str
    spec: DatasetSpec
    seed: int

    def __post_init__(self) -> None:
        from store.compiled.preparation import prepare_symmetries

        rows, columns, _ = self.spec.image_shape
        ieta, iphi = self.spec.seed
        possible = "flips" if is_middle(ieta, rows) and is_middle(iphi, columns) else default_augmentation(self.spec)
        if "rotations" in self.name and not rows == columns == 2 * ieta + 1 == 2 * iphi + 1:
            raise ConfigError(
                f"augmentation {self.name!r} needs square images with the seed cell in the middle, {self.spec.name} "
                f"has {rows} x {columns} with the seed cell at ({ieta}, {iphi}); use {possible}"
            )
        flipped = ("ieta",) if self.name == "flip-ieta" else ("ieta", "iphi") if self.name == "flips" else ()
        for axis, seed, size in (("ieta", ieta, rows), ("iphi", iphi, columns)):
            if axis in flipped and not is_middle(seed, size):
                raise ConfigError(
                    f"augmentation {self.name!r} needs the seed cell in the middle of {axis}, {self.spec.name} has it "
                    f"in cell {seed} of {size}; use {possible}"
                )
        prepare_symmetries()

    def __call__(self, batch: "Batch", epoch: int) -> None:
        """Change the images of a batch in place."""
        from store.compiled.symmetries import apply_random_symmetries

        key = self._key(epoch)
        apply_random_symmetries(batch.image, batch.sample, key, symmetry_codes(self.name), *self.spec.seed)

    def codes(self, sample: Int64Array, epoch: int) -> UInt8Array:
        """Return the symmetry of each sample, uint8 (n,); `store.compiled.symmetries` says what each code does."""
        from store.compiled.symmetries import draw_symmetries

        code = np.empty(sample.size, np.uint8)
        draw_symmetries(np.ascontiguousarray(sample), self._key(epoch), symmetry_codes(self.name), code)
        return code

    def move(self, images: "SparseImages", code: UInt8Array) -> None:
        """Apply a symmetry to each of some images, in place; `code` is uint8 (n,), as `codes` returns it."""
        from store.compiled.symmetries import move_positions

        move_positions(images.position, images.offset, code, np.array(images.shape), *self.spec.seed)

    def moves(self) -> Int64Array:
        """Return where each symmetry takes each position, int64 (8, cell), by code; codes that are not drawn move none.

        Positions are those of `store.sparse.SparseImages`.
        """
        from store.compiled.symmetries import move_positions

        shape = np.array(self.spec.image_shape)
        position = np.tile(np.arange(shape.prod(), dtype=np.uint32), 8)
        offset, code = shape.prod() * np.arange(9), np.zeros(8, np.uint8)
        code[symmetry_codes(self.name)] = symmetry_codes(self.name)
        move_positions(position, offset, code, shape, *self.spec.seed)
        return position.reshape(8, -1).astype(np.int64)

    def _key(self, epoch: int) -> Any:
        """Return the key, uint64, of the random numbers of an epoch."""
        from store.compiled.permutation import make_keys

        return make_keys(DRAWS, self.seed, epoch)[0]


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
