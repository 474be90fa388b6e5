"""Looking at showers."""

import numpy as np
import xarray as xr
from matplotlib.colors import AsinhNorm
from matplotlib.figure import Figure


def plot_shower(dataset: xr.Dataset, sample: int) -> Figure:
    """Draw every channel of one sample, colours on an inverse hyperbolic sine scale, cells without a hit left blank.

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
    comments = one["image"].attrs["comment"].split("; ")
    meanings = one["label"].attrs["flag_meanings"].split()
    figure = Figure(figsize=(4.6 * one.sizes["channel"], 4.2), layout="constrained")
    for axes, channel, comment in zip(
        np.atleast_1d(figure.subplots(1, one.sizes["channel"])), one["channel"].values, comments, strict=True
    ):
        image = one["image"].sel(channel=channel)
        hits = image.where(image != 0)
        signed = bool((image < 0).any())
        largest = float(np.abs(image).max()) or 1.0
        mesh = axes.pcolormesh(
            one["iphi"],
            one["ieta"],
            hits,
            norm=AsinhNorm(
                linear_width=largest / (10 if signed else 100), vmin=-largest if signed else 0.0, vmax=largest
            ),
            cmap="RdBu_r" if signed else "viridis",
        )
        axes.set(xlabel="iphi from the seed", ylabel="ieta from the seed", title=str(channel), aspect="equal")
        figure.colorbar(mesh, ax=axes, label=comment.split(": ", 1)[1], shrink=0.8)
    title = f"sample {sample}: {meanings[int(one['label'])]}"
    simulated = dataset.attrs.get("simulated")
    figure.suptitle(f"{title} ({simulated})" if simulated else title)
    return figure
