"""Figures of the training images: the average image of each class, and how the classes differ."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter

from evaluate import style
from evaluate.metrics import Floats
from store.datasets import DatasetSpec

if TYPE_CHECKING:
    import xarray

SIGNED = 0.1
"""A channel is signed, like time, if it falls below zero by more than this share of its maximum."""


def average(statistics: "xarray.Dataset", channel: int) -> tuple[str, Floats]:
    """Return what to call the average image of a channel, and the image of each class.

    Signed channels average to about zero, so their root mean square is taken.

    Parameters
    ----------
    statistics
        Of a store's training split.
    channel
        Place on the last axis of the images.

    Returns
    -------
    kind
        ``"mean"`` or ``"RMS"``.
    image
        float64 (class, ieta, iphi), in the file's units.
    """
    part = statistics.isel(channel=channel)
    mean = part["mean_image"].transpose("class", "ieta", "iphi").to_numpy().astype(np.float64)
    if -float(part["pooled_minimum"]) <= SIGNED * float(part["pooled_maximum"]):
        return "mean", mean
    deviation = part["std_image"].transpose("class", "ieta", "iphi").to_numpy().astype(np.float64)
    return "RMS", np.hypot(mean, deviation)


@style.styled
def average_shower(statistics: "xarray.Dataset", spec: DatasetSpec, channel: int, label: int) -> Figure:
    """Draw the average image of one channel and class, on a scale that the classes share: logarithmic for a mean."""
    kind, images = average(statistics, channel)
    name = spec.channels[channel].name
    seen = images[images > 0]
    low, high = (float(seen.min()), float(seen.max())) if seen.size else (1.0, 1.0)
    logarithmic = kind == "mean" and low < high
    scale = LogNorm(max(low, high * 1e-5), high) if logarithmic else Normalize(0, high)
    title = f"{kind[0].upper()}{kind[1:]} {name}, {spec.classes[label]}"
    return _draw(images[label], spec, title, scale, "viridis", f"{kind} {name}")


@style.styled
def asymmetry(statistics: "xarray.Dataset", spec: DatasetSpec, channel: int) -> Figure:
    """Draw where the average images of the classes differ: their difference over their sum, by pixel."""
    kind, (background, signal) = average(statistics, channel)
    name = spec.channels[channel].name
    total = signal + background
    image = np.divide(signal - background, total, out=np.zeros_like(total), where=total > 0)
    reach = min(1.0, float(np.abs(image).max())) or 1.0  # beyond 1 where noise below zero takes one average there
    classes = f"({spec.classes[1]} - {spec.classes[0]}) / sum"
    return _draw(
        image,
        spec,
        f"{kind[0].upper()}{kind[1:]} {name}, asymmetry",
        Normalize(-reach, reach),
        "RdBu_r",
        classes,
    )


@style.styled
def occlusion(maps: Sequence[Floats], spec: DatasetSpec, label: int, name: str) -> Figure:
    """Draw how much hiding a patch changes the score of a class, on a scale that the maps share.

    Parameters
    ----------
    maps
        float64 (y, x), one a class.
    description
        Of the images.
    label
        Which class.
    name
        Of the run.
    """
    sides = zip(spec.image_shape, maps[label].shape, strict=False)
    sizes = [[part.size for part in np.array_split(np.arange(side), count)] for side, count in sides]
    image = maps[label].repeat(sizes[0], axis=0).repeat(sizes[1], axis=1)
    title = f"{style.shorten(name, 20)}, {spec.classes[label]}"
    scale = Normalize(0, max(float(one.max()) for one in maps) or 1.0)
    return _draw(image, spec, title, scale, "viridis", "mean change of the score")


def _draw(image: Floats, spec: DatasetSpec, title: str, scale: Normalize, colours: str, what: str) -> Figure:
    figure, axes = style.new(title, "iphi, from the seed", "ieta, from the seed")
    eta, phi = spec.seed
    rows, columns = image.shape
    extent = (-phi - 0.5, columns - phi - 0.5, -eta - 0.5, rows - eta - 0.5)
    picture = axes.imshow(image, norm=scale, cmap=colours, origin="lower", extent=extent, interpolation="none")
    axes.grid(visible=False)
    bar = figure.colorbar(picture, ax=axes, label=what, pad=0.02, format="%g")
    bar.outline.set_visible(False)
    if isinstance(scale, LogNorm):
        bar.ax.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(1, 0.5)))
    return figure
