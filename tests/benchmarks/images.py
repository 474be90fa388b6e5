"""Images to measure with: the bundled Geant4 sample, drawn with replacement; every image tells its row."""

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt

SAMPLE = Path(__file__).parents[2] / "ingest" / "sample" / "electron-photon"
TELL = 2.0**24  # a corner pixel, zero in the sample, is (1 + row) / TELL, exact in float32 and small against a hit


@dataclass(frozen=True, kw_only=True)
class Images:
    """`count` images, computed when they are asked for: row i is the same whatever the count."""

    count: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one image."""
        return sample()[0].shape[1:]

    def take(self, rows: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Return the images at `rows`: float32 (rows, ieta, iphi, channel)."""
        images = sample()[0][draws()[rows]]
        images[:, 0, 0, 0] = (1 + np.asarray(rows)) / TELL
        return images

    def labels(self) -> npt.NDArray[np.uint8]:
        """Return the classes of all images."""
        return sample()[1][draws()[: self.count]]

    def blocks(self, size: int = 4096) -> Iterator[npt.NDArray[np.float32]]:
        """Yield all images in order, at most `size` at a time."""
        for start in range(0, self.count, size):
            yield self.take(np.arange(start, min(self.count, start + size)))


def rows_of(images: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """Return the rows that images tell."""
    return np.rint(images[:, 0, 0, 0].astype(np.float64) * TELL).astype(np.int64) - 1


@functools.cache
def sample() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]:
    """Return the sample's images and classes, loaded."""
    parts = []
    for path in sorted(SAMPLE.glob("*.hdf5")):
        with h5py.File(path) as file:
            parts.append((file["X"][:], file["y"][:].astype(np.uint8)))
    images, labels = zip(*parts, strict=True)
    return np.concatenate(images), np.concatenate(labels)


@functools.cache
def draws(most: int = 2_000_000) -> npt.NDArray[np.int64]:
    """Return which image of the sample each row is."""
    return np.random.default_rng(0).integers(0, len(sample()[0]), most)
