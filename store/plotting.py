"""Looking at showers and jets."""

import re

import numpy as np
import numpy.typing as npt
import xarray as xr
from matplotlib import colormaps
from matplotlib.colors import Colormap, ListedColormap, LogNorm, Normalize, SymLogNorm
from matplotlib.figure import Figure

DECADES = 4  # below the largest value, at most; what is smaller has the colour of the smallest


def plot_shower(dataset: xr.Dataset, sample: int) -> Figure:
    """Draw every channel of one sample, colours on a logarithmic scale, cells without a hit left blank.

    The scale begins at the smallest hit. In a channel with values below zero it goes out from zero on both sides, red
    above and blue below, as far as there are values.

    Parameters
    ----------
    dataset
        From `store.open_dataset`, or ``xarray.open_zarr`` of a store.
    sample
        Position in the dataset.

    Returns
    -------
    matplotlib.figure.Figure
        One panel a channel, iphi to the right and ieta upwards; notebooks show it, ``savefig`` writes it.

    Raises
    ------
    IndexError
        If the dataset has no such sample.
    """
    one = dataset.isel(sample=sample).load()
    channels = [str(name) for name in one["channel"].values]
    comments = re.split(rf"(?:^|; )(?:{'|'.join(map(re.escape, channels))}): ", one["image"].attrs["comment"])[1:]
    meanings = one["label"].attrs["flag_meanings"].split()
    width = 4.4 if max(one["image"].shape) < 64 else 5.8  # inches a panel, so that single cells can be seen
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


def _scale(image: npt.NDArray[np.float32]) -> tuple[Normalize, Colormap]:
    """Return how values become colours."""
    size = np.abs(image[image != 0])
    largest = float(size.max(initial=0)) or 1.0
    floor = max(float(size.min(initial=largest)), largest * 10.0**-DECADES)
    if image.min() >= 0:
        return LogNorm(floor, largest, clip=True), ListedColormap(colormaps["viridis_r"](np.linspace(0.12, 1, 256)))
    low, high = float(image.min()), max(float(image.max()), 0.0)
    whole = SymLogNorm(floor, vmin=-largest, vmax=largest)
    colours = colormaps["RdBu_r"](np.linspace(float(whole(low)), float(whole(high)), 256))
    return SymLogNorm(floor, vmin=low, vmax=high), ListedColormap(colours)
