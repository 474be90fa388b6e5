"""Figures of the training images: average image of each class, difference of the classes, and occlusion maps."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter

from evaluate import style
from store.arrays import Float64Array
from store.datasets import DatasetSpec

if TYPE_CHECKING:
    import xarray

SIGNED = 0.1
"""A channel is signed, like a time, if its minimum is below zero by more than this fraction of its maximum."""


def average_images(statistics: "xarray.Dataset", channel: int) -> tuple[str, Float64Array]:
    """Return the average image of a channel for each class, and the kind of average.

    It is the mean, except for a signed channel, whose mean is about zero: there it is the root mean square.

    Parameters
    ----------
    statistics
        Statistics of a store's training split.
    channel
        Index on the last axis of the images.

    Returns
    -------
    kind
        ``"mean"`` or ``"RMS"``.
    image
        float64 (class, ieta, iphi), in the units of the store.
    """
    of_channel = statistics.isel(channel=channel)
    mean = of_channel["mean_image"].transpose("class", "ieta", "iphi").to_numpy().astype(np.float64)
    if -float(of_channel["pooled_minimum"]) <= SIGNED * float(of_channel["pooled_maximum"]):
        return "mean", mean
    deviation = of_channel["std_image"].transpose("class", "ieta", "iphi").to_numpy().astype(np.float64)
    return "RMS", np.hypot(mean, deviation)


@style.styled
def draw_average(statistics: "xarray.Dataset", spec: DatasetSpec, channel: int, label: int) -> Figure:
    """Draw the average image of one channel and class, on a scale that all classes share: logarithmic for a mean."""
    kind, images = average_images(statistics, channel)
    name = spec.channels[channel].name
    positive = images[images > 0]
    low, high = (float(positive.min()), float(positive.max())) if positive.size else (1.0, 1.0)
    logarithmic = kind == "mean" and low < high
    scale = LogNorm(max(low, high * 1e-5), high) if logarithmic else Normalize(0, high)
    title = f"{kind[0].upper()}{kind[1:]} {name}, {spec.classes[label]}"
    return _draw(images[label], spec, title, scale, "viridis", f"{kind} {name}")


@style.styled
def draw_asymmetry(statistics: "xarray.Dataset", spec: DatasetSpec, channel: int) -> Figure:
    """Draw the asymmetry of the average images of the two classes: their difference over their sum, by cell."""
    kind, (background, signal) = average_images(statistics, channel)
    name = spec.channels[channel].name
    total = signal + background
    image = np.divide(signal - background, total, out=np.zeros_like(total), where=total > 0)
    limit = min(1.0, float(np.abs(image).max())) or 1.0  # noise below zero can make a ratio larger than 1
    label = f"({spec.classes[1]} - {spec.classes[0]}) / sum"
    return _draw(
        image,
        spec,
        f"{kind[0].upper()}{kind[1:]} {name}, asymmetry",
        Normalize(-limit, limit),
        "RdBu_r",
        label,
    )


@style.styled
def draw_occlusion(maps: Sequence[Float64Array], spec: DatasetSpec, label: int, name: str) -> Figure:
    """Draw how much the score of one class changes when a patch is hidden, on a scale that all maps share.

    Parameters
    ----------
    maps
        float64 (y, x), one per class.
    spec
        Layout of the images.
    label
        The class to draw.
    name
        Name of the run.
    """
    sides = zip(spec.image_shape, maps[label].shape, strict=False)
    sizes = [[part.size for part in np.array_split(np.arange(side), count)] for side, count in sides]
    image = maps[label].repeat(sizes[0], axis=0).repeat(sizes[1], axis=1)
    title = f"{style.shorten(name, 20)}, {spec.classes[label]}"
    scale = Normalize(0, max(float(changes.max()) for changes in maps) or 1.0)
    return _draw(image, spec, title, scale, "viridis", "mean change of the score")


def _draw(image: Float64Array, spec: DatasetSpec, title: str, scale: Normalize, colours: str, label: str) -> Figure:
    figure, axes = style.new_figure(title, "iphi relative to the seed", "ieta relative to the seed")
    eta, phi = spec.seed
    rows, columns = image.shape
    extent = (-phi - 0.5, columns - phi - 0.5, -eta - 0.5, rows - eta - 0.5)
    picture = axes.imshow(image, norm=scale, cmap=colours, origin="lower", extent=extent, interpolation="none")
    axes.grid(visible=False)
    bar = figure.colorbar(picture, ax=axes, label=label, pad=0.02, format="%g")
    bar.outline.set_visible(False)
    if isinstance(scale, LogNorm):
        bar.ax.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(1, 0.5)))
    return figure
