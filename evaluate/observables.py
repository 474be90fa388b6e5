"""What is known of each sample of a store besides its class, to see where a classifier does well."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

import store
from evaluate.metrics import Floats
from store.datasets import DatasetSpec

BATCH_BYTES = 1 << 24
NOT_VARIABLES = {"label", "split", "source_file", "source_row"}


@dataclass(frozen=True, kw_only=True)
class Variable:
    """One number a sample.

    Attributes
    ----------
    name
        Short and unique.
    long_name
        For people.
    units
        As in the store; 1 for none.
    value
        float64 (n,), in the order of the samples.
    """

    name: str
    long_name: str
    units: str
    value: Floats

    def take(self, rows: npt.NDArray[np.int64]) -> "Variable":
        """Return the variable of some of the samples."""
        return replace(self, value=self.value[rows])


def read_variables(path: Path, split: str) -> list[Variable]:
    """Return total energy and number of hits of every sample of a split, and every variable that the store has.

    Raises
    ------
    CalostreamError
        If the store cannot be read.
    """
    return [*_compute(path, split), *_stored(path, split)]


def _compute(path: Path, split: str) -> list[Variable]:
    """Stream the images once, a few batches in memory at a time; sums are taken in float64."""
    opened = store.open_store(path)
    start, stop = opened.split_range(split)
    energies = energy_channels(opened.spec)
    energy, hits = np.zeros(stop - start), np.zeros(stop - start)
    size = max(1, BATCH_BYTES // opened.spec.sample_bytes)
    for batch in store.BatchStream(path, split=split, batch_size=size, shuffle="none"):
        image = batch.image[..., energies]
        place = batch.sample - start
        energy[place] = image.sum(axis=(1, 2, 3), dtype=np.float64)
        hits[place] = np.count_nonzero(image.any(axis=-1), axis=(1, 2))
    names = " + ".join(opened.spec.channels[channel].name for channel in energies)
    return [
        Variable(name="total_energy", long_name=f"sum of {names}", units="1", value=energy),
        Variable(name="hits", long_name="cells with energy", units="1", value=hits),
    ]


def energy_channels(spec: DatasetSpec) -> list[int]:
    """Return the channels that hold energies or momenta: all but the time."""
    return [place for place, channel in enumerate(spec.channels) if channel.name != "time"]


def _stored(path: Path, split: str) -> list[Variable]:
    dataset = store.open_dataset(path, split)
    return [
        Variable(
            name=str(name),
            long_name=column.attrs.get("long_name", str(name)),
            units=column.attrs.get("units", "1"),
            value=column.to_numpy().astype(np.float64),
        )
        for name, column in dataset.variables.items()
        if column.dims == ("sample",) and name not in NOT_VARIABLES and column.dtype.kind in "fiu"
    ]
