"""Figures of single showers and jets."""

import re

import numpy as np
import xarray as xr
from matplotlib import colormaps
from matplotlib.colors import Colormap, ListedColormap, LogNorm, Normalize, SymLogNorm
from matplotlib.figure import Figure

from store.arrays import Float32Array

DECADES = 4  # maximum range of colours below the largest value; smaller values have the last colour


def plot_shower(dataset: xr.Dataset, sample: int) -> Figure:
    """Draw the channels of one sample side by side, with logarithmic colour scales; cells without a hit are blank.

    A scale starts at the smallest hit. In a channel with negative values, it extends from zero to both sides as far as
    there are values: positive values are red, negative ones blue.

    Parameters
    ----------
    dataset
        From `store.open_dataset`, or ``xarray.open_zarr`` of a store.
    sample
        Position of the sample in the dataset.

    Returns
    -------
    matplotlib.figure.Figure
        One panel per channel, with iphi to the right and ieta upwards. Notebooks show it, ``savefig`` writes it.

    Raises
    ------
    IndexError
        If the dataset has no such sample.
    """
    one = dataset.isel(sample=sample).load()
    channels = [str(name) for name in one["channel"].values]
    comments = re.split(rf"(?:^|; )(?:{'|'.join(map(re.escape, channels))}): ", one["image"].attrs["comment"])[1:]
    meanings = one["label"].attrs["flag_meanings"].split()
    width = 4.4 if max(one["image"].shape) < 64 else 5.8  # inches per panel; single cells must be visible
    figure = Figure(figsize=(width * len(channels), 0.88 * width), layout="constrained")
    for axes, channel, comment in zip(
        np.atleast_1d(figure.subplots(1, len(channels))), channels, comments, strict=True
    ):
        image = one["image"].sel(channel=channel)
        norm, colours = _scale(image.values)
        mesh = axes.pcolormesh(one["iphi"], one["ieta"], image.where(image != 0), norm=norm, cmap=colours)
        axes.set(xlabel="iphi from the seed", ylabel="ieta from the seed", title=channel, aspect="equal")
        figure.colorbar(mesh, ax=axes, label=comment, fraction=0.05)
    title = f"sample {sample}: {meanings[int(one['label'])]}"
    simulated = dataset.attrs.get("simulated")
    figure.suptitle(f"{title} ({simulated})" if simulated else title)
    return figure


def _scale(image: Float32Array) -> tuple[Normalize, Colormap]:
    """Return the normalisation and the colour map of a channel."""
    size = np.abs(image[image != 0])
    largest = float(size.max(initial=0)) or 1.0
    floor = max(float(size.min(initial=largest)), largest * 10.0**-DECADES)
    if image.min() >= 0:
        return LogNorm(floor, largest, clip=True), ListedColormap(colormaps["viridis_r"](np.linspace(0.12, 1, 256)))
    low, high = float(image.min()), max(float(image.max()), 0.0)
    whole = SymLogNorm(floor, vmin=-largest, vmax=largest)
    colours = colormaps["RdBu_r"](np.linspace(float(whole(low)), float(whole(high)), 256))
    return SymLogNorm(floor, vmin=low, vmax=high), ListedColormap(colours)
