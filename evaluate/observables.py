"""Observables: numbers that describe each sample, besides its class. Metrics are also computed in bins of them."""

from dataclasses import dataclass, replace

import numpy as np

import store
from store.arrays import Float64Array, Int64Array
from store.datasets import DatasetSpec
from store.locations import Location
from store.sample_columns import WEIGHT

BATCH_BYTES = 16 << 20
MOST_NAMED = 4  # channels whose names fit into a label
OF_HITS = ("total_energy", "hits")
"""Observables that an image without a hit does not have."""

NOT_OBSERVABLES = {"label", "split", "source_file", "source_row"}
"""Columns of a store that say where a sample comes from, and not what it is like."""


@dataclass(frozen=True, kw_only=True)
class Observable:
    """One number per sample.

    Attributes
    ----------
    name
        Short name, unique in its store.
    long_name
        Description for readers.
    units
        As in the store; ``"1"`` if it has none.
    value
        float64 (n,), in the order of the samples; NaN for a sample without it.
    """

    name: str
    long_name: str
    units: str
    value: Float64Array

    def take(self, rows: Int64Array) -> "Observable":
        """Return the observable for some of the samples."""
        return replace(self, value=self.value[rows])


def read_observables(path: Location, split: str) -> list[Observable]:
    """Return the total energy and the number of hits of every sample of a split, and its numeric columns in the store.

    Raises
    ------
    CalostreamError
        If the store cannot be read.
    """
    return [*_compute(path, split), *_read_columns(path, split)]


def _compute(path: Location, split: str) -> list[Observable]:
    """Compute the observables of the images in one pass, a few batches at a time; energies are summed in float64.

    The sum is in the unit of the channels, if they have the same one. An image without a hit has neither.
    """
    opened = store.open_store(path)
    start, stop = opened.split_range(split)
    energies = energy_channels(opened.spec)
    energy, hits = np.zeros(stop - start), np.zeros(stop - start)
    size = max(1, BATCH_BYTES // opened.spec.sample_bytes)
    for batch in store.BatchStream(path, split=split, batch_size=size, shuffle="none"):
        image = batch.image[..., energies]
        rows = batch.sample - start
        energy[rows] = image.sum(axis=(1, 2, 3), dtype=np.float64)
        hits[rows] = np.count_nonzero(image.any(axis=-1), axis=(1, 2))
    energy[hits == 0] = hits[hits == 0] = np.nan
    scale, units = _common_scale(opened.spec, energies)
    names = " + ".join(opened.spec.channels[channel].name for channel in energies)
    if len(energies) > MOST_NAMED:
        names = f"{len(energies)} channels"
    return [
        Observable(name=OF_HITS[0], long_name=f"sum of {names}", units=units, value=scale * energy),
        Observable(name=OF_HITS[1], long_name="cells with energy", units="1", value=hits),
    ]


def energy_channels(spec: DatasetSpec) -> list[int]:
    """Return the indices of the channels that hold energies or momenta: all except the time."""
    return [index for index, channel in enumerate(spec.channels) if channel.name != "time"]


def _common_scale(spec: DatasetSpec, channels: list[int]) -> tuple[float, str]:
    """Return the value of 1 and the unit of channels, or 1 and no unit if they differ or the description has none."""
    scales = {(spec.channels[channel].scale, spec.channels[channel].unit) for channel in channels}
    scale, unit = scales.pop() if len(scales) == 1 else (1.0, "1")
    return (scale, unit) if unit != "1" else (1.0, "1")


def _read_columns(path: Location, split: str) -> list[Observable]:
    dataset = store.open_dataset(path, split)
    others = NOT_OBSERVABLES | ({WEIGHT} if store.open_store(path).spec.weight_key else set())
    return [
        Observable(
            name=str(name),
            long_name=column.attrs.get("long_name", str(name)),
            units=column.attrs.get("units", "1"),
            value=column.to_numpy().astype(np.float64),
        )
        for name, column in dataset.variables.items()
        if column.dims == ("sample",) and name not in others and column.dtype.kind in "fiu"
    ]
