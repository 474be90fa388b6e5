"""Images for the benchmarks, drawn from a bundled sample with replacement; every image carries its row number."""

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt

SAMPLES = Path(__file__).parents[2] / "ingest" / "sample"
# One corner pixel, zero in most samples, is set to (1 + row) / TELL: exact in float32, and small compared with a hit.
TELL = 2.0**24


@dataclass(frozen=True, kw_only=True)
class Images:
    """`count` images of a data set, computed on demand; row i is the same image for every `count`."""

    count: int
    dataset: str = "electron-photon"

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one image: (ieta, iphi, channel)."""
        return sample(self.dataset).images.shape[1:]

    def take(self, rows: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Return the images at `rows`, float32 (rows, ieta, iphi, channel)."""
        images = sample(self.dataset).images[draws(self.dataset)[rows]]
        images[:, 0, 0, 0] = (1 + np.asarray(rows)) / TELL
        return images

    def labels(self) -> npt.NDArray[np.uint8]:
        """Return the classes of all images, uint8 (count,)."""
        return sample(self.dataset).labels[draws(self.dataset)[: self.count]]

    def variables(self) -> dict[str, npt.NDArray[np.float32]]:
        """Return the variables of all images, each float32 (count,)."""
        rows = draws(self.dataset)[: self.count]
        return {name: values[rows] for name, values in sample(self.dataset).variables.items()}

    def blocks(self, size: int = 4096) -> Iterator[npt.NDArray[np.float32]]:
        """Yield all images in order, at most `size` at a time."""
        for start in range(0, self.count, size):
            yield self.take(np.arange(start, min(self.count, start + size)))


def rows_of(images: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """Return the row numbers that the images carry, int64 (images,)."""
    return np.rint(images[:, 0, 0, 0].astype(np.float64) * TELL).astype(np.int64) - 1


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A bundled sample, loaded into memory."""

    images: npt.NDArray[np.float32]
    labels: npt.NDArray[np.uint8]
    variables: dict[str, npt.NDArray[np.float32]]


@functools.cache
def sample(dataset: str) -> Sample:
    """Return the bundled sample of a data set.

    This imports nothing from the project, so that it works in the environment of every reader.
    """
    parts = []
    for path in sorted((SAMPLES / dataset).glob("*.hdf5")):
        with h5py.File(path) as file:
            parts.append({name: file[name][:] for name in file})
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    image_key = next(name for name, values in columns.items() if values.ndim == 4)
    return Sample(images=columns.pop(image_key), labels=columns.pop("y").astype(np.uint8), variables=columns)


@functools.cache
def draws(dataset: str, most: int = 2_000_000) -> npt.NDArray[np.int64]:
    """Return the sample's image for each row, int64 (most,)."""
    return np.random.default_rng(0).integers(0, len(sample(dataset).labels), most)
