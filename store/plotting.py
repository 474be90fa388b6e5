"""Figures of single showers and jets, in physical units with logarithmic colour scales."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, ListedColormap, LogNorm, Normalize, SymLogNorm
from matplotlib.figure import Figure

from store.arrays import Float32Array
from store.coordinates import ENERGY_UNITS, axis_label, quantity, select_channels, with_coordinates
from store.errors import ConfigError

DECADES = 4  # maximum range of colours below the largest value; smaller values have the last colour
LARGE = 64  # an image with more cells along a side gets a larger panel; single cells must be visible
MOST_SHOWERS = 100
MOST_CHANNELS = 12
PANELS_PER_ROW = 4


def plot_shower(dataset: xr.Dataset, sample: int) -> Figure:
    """Draw the channels of one sample, up to 12, with logarithmic colour scales; cells without a hit are blank.

    A scale starts at the smallest hit. In a channel with negative values, it extends from zero to both sides as far as
    there are values: positive values are red, negative ones blue.

    Parameters
    ----------
    dataset
        From `store.open_dataset`, or ``xarray.open_zarr`` of a store. To draw other channels than the first 12, select
        them: ``dataset.sel(channel=[...])``.
    sample
        Position of the sample in the dataset.

    Returns
    -------
    matplotlib.figure.Figure
        One panel per channel, with iphi to the right and ieta upwards, in physical units where the data set has them.
        Notebooks show it, ``savefig`` writes it.

    Raises
    ------
    IndexError
        If the dataset has no such sample.
    StoreError
        If the dataset is not from a store.

    Examples
    --------
    >>> ds = cs.open_dataset("data/electron-photon.zarr", split="test")
    >>> cs.plot_shower(ds, sample=3).savefig("shower.png")
    """
    one = with_coordinates(dataset.isel(sample=[sample]))
    channels = [str(name) for name in np.ravel(one["channel"].values)]
    width = 5.8 if max(_cells(one)) > LARGE else 4.4  # inches per panel
    shown = channels[:MOST_CHANNELS]
    columns = min(len(shown), PANELS_PER_ROW)
    rows = math.ceil(len(shown) / columns)
    figure = Figure(figsize=(width * columns, 0.88 * width * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False)
    for axes, channel in zip(panels.flat, shown, strict=False):
        selected = select_channels(one, channel)
        image = _scaled(selected)
        scale = _scale(image)
        mesh = _draw(axes, selected, image[0], scale)
        axes.set(xlabel="iphi from the seed", ylabel="ieta from the seed", title=channel)
        _add_colorbar(figure, mesh, scale, axis_label(quantity(selected)), ax=axes, fraction=0.05)
    for axes in panels.flat[len(shown) :]:
        axes.set_visible(False)
    title = f"sample {sample}: {one['class_name'].values[0]}"
    if len(shown) < len(channels):
        title += f", the first {len(shown)} of {len(channels)} channels"
    simulated = dataset.attrs.get("simulated")
    figure.suptitle(f"{title} ({simulated})" if simulated else title)
    return figure


def plot_showers(dataset: xr.Dataset, n: int = 12, channel: str | None = None) -> Figure:
    """Draw one channel of the first samples of a dataset in a grid, all with the same logarithmic colour scale.

    Parameters
    ----------
    dataset
        From `store.open_dataset`, or ``xarray.open_zarr`` of a store, or a selection of samples of one.
    n
        Number of samples, at most 100; all if the dataset has fewer.
    channel
        The channel to draw; by default the first one with a unit of energy, or else the first one.

    Returns
    -------
    matplotlib.figure.Figure
        One panel per sample, with iphi to the right and ieta upwards, under its class and its energy, or the sum of its
        values where they have no unit.
        Notebooks show it, ``savefig`` writes it.

    Raises
    ------
    ConfigError
        If there is no such channel, or `n` is not between 1 and 100.
    StoreError
        If the dataset is not from a store, or has no samples.

    Examples
    --------
    >>> ds = cs.open_dataset("data/electron-photon.zarr", split="test")
    >>> cs.plot_showers(ds, n=6).savefig("showers.png")
    """
    if n not in range(1, MOST_SHOWERS + 1):
        raise ConfigError(f"n={n!r} is not a number of samples from 1 to {MOST_SHOWERS}")
    if "sample" not in dataset.dims:
        dataset = dataset.expand_dims("sample")
    few = with_coordinates(dataset.isel(sample=slice(int(n))))
    if channel is None:
        units = zip(np.ravel(few["channel"].values), np.ravel(few["unit"].values), strict=True)
        names = [str(name) for name, unit in units if unit in ENERGY_UNITS]
        channel = next(iter(names), str(np.ravel(few["channel"].values)[0]))
    few = select_channels(few, channel)
    images = _scaled(few)
    if not len(images):
        raise ConfigError("the dataset has no samples to draw")
    width, columns = (3.8, 3) if max(_cells(few)) > LARGE else (2.2, 4)  # inches per panel, panels per row
    columns = min(columns, len(images))
    rows = math.ceil(len(images) / columns)
    figure = Figure(figsize=(width * columns + 1.1, (width + 0.15) * rows + 0.7), layout="constrained")
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    scale, described = _scale(images), quantity(few)
    for axes, image, name in zip(panels.flat, images, np.ravel(few["class_name"].values), strict=False):
        mesh = _draw(axes, few, image, scale)
        axes.set_title(f"{name}{_total(image, described['units'])}", fontsize="medium")
    for axes in panels.flat[len(images) :]:
        axes.set_visible(False)
    for axes in panels.flat[max(0, len(images) - columns) : len(images)]:
        axes.tick_params(labelbottom=True)  # also where there is no panel below
    _add_colorbar(figure, mesh, scale, axis_label(described), ax=panels, aspect=12 * rows, pad=0.02)
    figure.supxlabel("iphi from the seed", fontsize="medium")
    figure.supylabel("ieta from the seed", fontsize="medium")
    if dataset.attrs.get("simulated"):
        figure.suptitle(dataset.attrs["simulated"])
    return figure


@dataclass(frozen=True, kw_only=True)
class _Scale:
    """How values become colours, and which of them the colour bar names."""

    norm: Normalize
    colours: Colormap
    ticks: list[float]


def _total(image: Float32Array, unit: str) -> str:
    """Return the sum of an image as part of a title; times are not summed."""
    value = float(image.sum(dtype=np.float64))
    total = f"{value:,.1f}" if abs(value) >= 10 else f"{value:.3g}"
    if unit == "1":
        return f", sum {total}"
    return f", {total} {unit}" if unit in ENERGY_UNITS else ""


def _cells(dataset: xr.Dataset) -> tuple[int, int]:
    return dataset.sizes["ieta"], dataset.sizes["iphi"]


def _scaled(dataset: xr.Dataset) -> Float32Array:
    """Return the images of a dataset with one channel, float32 (sample, ieta, iphi), in physical units."""
    image = dataset["image"].isel(channel=0).transpose("sample", "ieta", "iphi").to_numpy()
    return np.nan_to_num(image * np.float32(dataset["scale"].values[0]))  # `where` masks images with NaN


def _draw(axes: Axes, dataset: xr.Dataset, image: Float32Array, scale: _Scale) -> ScalarMappable:
    """Draw one image (ieta, iphi), with cells without a hit left blank."""
    values = np.ma.masked_equal(image, 0)
    axes.set_aspect("equal")
    return axes.pcolormesh(dataset["iphi"], dataset["ieta"], values, norm=scale.norm, cmap=scale.colours)


def _add_colorbar(figure: Figure, mesh: ScalarMappable, scale: _Scale, label: str, **where: Any) -> None:
    """Draw a colour bar with the ticks of a scale as plain numbers; `where` is for matplotlib."""
    figure.colorbar(mesh, label=label, ticks=scale.ticks, format="%g", **where).minorticks_off()


def _scale(image: Float32Array) -> _Scale:
    """Return the colour scale of an image, or of several."""
    size = np.abs(image[image != 0])
    largest = float(size.max(initial=0)) or 1.0
    floor = max(float(size.min(initial=largest)), largest * 10.0**-DECADES)
    if image.min() >= 0:
        colours = ListedColormap(colormaps["viridis_r"](np.linspace(0.12, 1, 256)))
        return _Scale(norm=LogNorm(floor, largest, clip=True), colours=colours, ticks=decade_ticks(floor, largest))
    low, high = float(image.min()), max(float(image.max()), 0.0)
    whole = SymLogNorm(floor, vmin=-largest, vmax=largest)
    colours = ListedColormap(colormaps["RdBu_r"](np.linspace(float(whole(low)), float(whole(high)), 256)))
    above = decade_ticks(max(floor, largest / 1000), largest, fewest=1)  # smaller ones would lie too close to zero
    ticks = [tick for tick in (*(-tick for tick in reversed(above)), 0.0, *above) if low <= tick <= high]
    return _Scale(norm=SymLogNorm(floor, vmin=low, vmax=high), colours=colours, ticks=ticks)


def decade_ticks(low: float, high: float, fewest: int = 3) -> list[float]:
    """Return the powers of ten between two positive numbers, and 2 and 5 times each if there would be too few."""
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for digits in ((1,), (1, 2, 5)):
        ticks = [tick for e in exponents for digit in digits if low <= (tick := digit * 10.0**e) <= high]
        if len(ticks) >= fewest:
            break
    return ticks
