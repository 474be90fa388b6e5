"""Colour scales of the pictures on a page: how values become colours, and which of them the colour bar names."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import xarray as xr
from matplotlib import colormaps
from matplotlib.colors import to_hex
from matplotlib.ticker import MaxNLocator

from store.arrays import Float64Array
from store.average_images import is_signed
from store.plotting import decade_ticks

DECADES = 4  # most that a logarithmic scale covers below its largest value
COLOURS = 64  # of a map
MAPS = {"sequential": "viridis", "diverging": "RdBu_r"}


@dataclass(frozen=True, kw_only=True)
class Scale:
    """A colour scale.

    Attributes
    ----------
    kind
        ``log`` from `low` to `high`; ``linear`` from 0 to `high`; ``symlog``, an inverse hyperbolic sine from -`high`
        to `high`, which is linear below `low`.
    low, high
        Positive values.
    label
        The quantity and its unit.
    ticks
        Values that the colour bar names.
    """

    kind: Literal["log", "linear", "symlog"]
    low: float
    high: float
    label: str
    ticks: list[float]

    def to_dict(self) -> dict[str, Any]:
        """Return the scale as the page's script reads it."""
        return {**asdict(self), "map": "diverging" if self.kind == "symlog" else "sequential"}


def logarithmic(values: Float64Array, label: str, decades: int = DECADES) -> Scale:
    """Return a logarithmic scale for the positive ones of some values."""
    positive = values[values > 0]
    high = float(positive.max(initial=0)) or 1.0
    low = max(float(positive.min(initial=high)), high * 10.0**-decades)
    if low == high:
        low = high / 10
    return Scale(kind="log", low=low, high=high, label=label, ticks=decade_ticks(low, high))


def linear(values: Float64Array, label: str) -> Scale:
    """Return a scale from 0 to the largest of some values."""
    high = float(values.max(initial=0)) or 1.0
    ticks = [tick for tick in np.asarray(MaxNLocator(4).tick_values(0, high)).tolist() if 0 <= tick <= high]
    return Scale(kind="linear", low=high, high=high, label=label, ticks=ticks)


def symmetric(values: Float64Array, label: str, decades: float = DECADES) -> Scale:
    """Return a scale for both signs that is logarithmic above the largest magnitude / 10^`decades`."""
    high = float(np.abs(values).max(initial=0)) or 1.0
    above = decade_ticks(high * 10.0 ** -min(decades, 2), high, fewest=1)
    ticks = [*(-tick for tick in reversed(above)), 0.0, *above]
    return Scale(kind="symlog", low=high * 10.0**-decades, high=high, label=label, ticks=ticks)


def scale_of_images(statistics: xr.Dataset, channel: int, unit: float, label: str) -> Scale:
    """Return a scale that all images of a channel share.

    It covers 98 % of the non-zero values of each class in the training split; others have the last colour.

    Parameters
    ----------
    statistics
        Statistics of the store.
    channel
        Index of the channel.
    unit
        What values are multiplied by.
    label
        The quantity and its unit.
    """
    ends = statistics["quantile"].isel(channel=channel).sel(probability=[0.01, 0.99]).values.ravel() * unit
    ends = ends[np.isfinite(ends)]
    if is_signed(statistics, channel):
        return symmetric(ends, label, decades=1)
    high = np.array([float(statistics["pooled_maximum"].isel(channel=channel)) * unit])
    return logarithmic(np.concatenate([ends, high]), label)


def colour_maps() -> dict[str, list[str]]:
    """Return the colours of each map, from low to high values."""
    return {
        name: [to_hex(colour) for colour in colormaps[source](np.linspace(0, 1, COLOURS))]
        for name, source in MAPS.items()
    }
