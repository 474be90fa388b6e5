"""A random sample of a split: consecutive images from a random position on, which are read quickly from anywhere."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from store.arrays import Float32Array, Float64Array, Int64Array, UInt8Array
from store.coordinates import ENERGY_UNITS
from store.datasets import DatasetSpec
from store.opening import Store
from store.readers.sample_reader import SampleReader, open_reader

MOST_IMAGES = 20_000
MOST_BYTES = 256 << 20  # of the images of a stretch
READ_BYTES = 2 << 20  # images decoded at once


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """Consecutive samples of a split. The samples of a split are in random order, so these are a random subset.

    Attributes
    ----------
    store
        The store.
    split
        Name of the split.
    start, stop
        Range of positions in the store.
    """

    store: Store
    split: str
    start: int
    stop: int

    @classmethod
    def draw(cls, store: Store, split: str, seed: int) -> "Stretch":
        """Return a stretch of up to `MOST_IMAGES` images and `MOST_BYTES` of a split, at a random position."""
        first, end = store.split_range(split)
        size = min(MOST_IMAGES, max(1, MOST_BYTES // store.spec.sample_bytes), end - first)
        random = np.random.default_rng([seed, first])
        start = first + int(random.integers(end - first - size + 1))
        return cls(store=store, split=split, start=start, stop=start + size)

    def __len__(self) -> int:
        """Return the number of samples."""
        return self.stop - self.start

    def column(self, name: str) -> npt.NDArray[np.number]:
        """Return an array of the store with one value per sample, (n,)."""
        return self.store.column(name, self.start, self.stop)

    @cached_property
    def label(self) -> UInt8Array:
        """Class of each sample, uint8 (n,)."""
        return np.asarray(self.column("label"), np.uint8)

    @cached_property
    def _reader(self) -> SampleReader:
        return open_reader(self.store.image, self.store.shards)

    def images(self) -> Iterator[tuple[slice, Float32Array]]:
        """Yield the images, a few at a time, float32 (m, ieta, iphi, channel), and which of the samples they are of."""
        spec = self.store.spec
        step = max(1, READ_BYTES // spec.sample_bytes)
        for first in range(0, len(self), step):
            rows = slice(first, min(first + step, len(self)))
            out = np.empty((rows.stop - first, *spec.image_shape), np.float32)
            self._reader.read(np.arange(self.start + first, self.start + rows.stop), out)
            yield rows, out

    def read(self, rows: Int64Array) -> Float32Array:
        """Return the images of some of the samples, float32 (row, ieta, iphi, channel)."""
        out = np.empty((rows.size, *self.store.spec.image_shape), np.float32)
        self._reader.read(self.start + rows, out)
        return out


@dataclass(frozen=True, kw_only=True)
class Total:
    """The sum over an image that stands for its energy.

    Attributes
    ----------
    channels
        Indices of the channels whose values are added up.
    scale
        What each of them is multiplied by.
    name
        Such as ``energy``, or ``tracks + ecal + hcal``.
    unit
        Unit of the sum; ``1`` if the data set states none.
    """

    channels: tuple[int, ...]
    scale: Float64Array
    name: str
    unit: str

    @classmethod
    def of(cls, spec: DatasetSpec) -> "Total":
        """Return the sum of all channels with the first unit of energy; without any, of all without a unit.

        If all channels have units and none is of energy, it is the sum of the first channel.
        """
        units = [channel.unit for channel in spec.channels]
        unit = next((unit for unit in units if unit in ENERGY_UNITS), "1" if "1" in units else units[0])
        chosen = tuple(k for k, channel in enumerate(spec.channels) if channel.unit == unit and channel.name != "time")
        channels = chosen or (0,)
        names = [spec.channels[k].name for k in channels]
        return cls(
            channels=channels,
            scale=np.array([spec.channels[k].scale for k in channels]),
            name=" + ".join(names) if len(names) <= 4 else f"sum of {len(names)} channels",
            unit=unit,
        )

    def measure(self, images: Float32Array) -> tuple[Float64Array, Int64Array]:
        """Return the sum in physical units, float64 (n,), and the number of cells with a hit, int64 (n,)."""
        chosen = images[..., list(self.channels)]
        sums = chosen.sum(axis=(1, 2), dtype=np.float64) @ self.scale
        return sums, np.count_nonzero(chosen.any(axis=-1), axis=(1, 2)).astype(np.int64)
