"""Spectra by class: of the cells from the store's statistics, of images and variables from a sample of the training."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from ingest.page.pictures import MOST_CHANNELS, MOST_CLASSES, quantity
from ingest.page.stretch import Stretch, Total
from store.arrays import Float32Array, Float64Array, UInt8Array
from store.average_images import is_signed
from store.datasets import DatasetSpec
from store.pages import style

MOST_VARIABLES = 24
"""Variables whose spectra are drawn."""

BINS = 60
ENDS = 0.005
"""Fraction of the samples that a spectrum leaves out at each end, so that a few of them do not determine its range."""


@dataclass(frozen=True, kw_only=True)
class Spectrum:
    """A figure with its texts.

    Attributes
    ----------
    name
        Unique in the page.
    alt
        Description for screen readers.
    caption
        What was counted.
    figure
        The figure.
    """

    name: str
    alt: str
    caption: str
    figure: Figure


@style.styled
def draw_spectra(stretch: Stretch, statistics: xr.Dataset, total: Total) -> list[Spectrum]:
    """Return the spectra of images, cells and variables by class.

    Parameters
    ----------
    stretch
        A sample of the training split.
    statistics
        Statistics of the store.
    total
        What the energy of an image is.
    """
    spec = stretch.store.spec
    channels = range(min(len(spec.channels), MOST_CHANNELS))
    signed = {k: Counts.between(*_ends(statistics, k), len(spec.classes)) for k in channels if is_signed(statistics, k)}
    energy, hits = np.empty(len(stretch)), np.empty(len(stretch))
    for rows, images in stretch.images():
        energy[rows], hits[rows] = total.measure(images)
        for k, counts in signed.items():
            counts.add(images[..., k], stretch.label[rows])
    unit = f" ({total.unit})" if total.unit != "1" else ", as in the source files"
    figures = [
        _of_samples(spec, "image-energy", "Sum over the image", f"{total.name}{unit}", energy, stretch.label),
        _of_samples(spec, "image-hits", "Hits", "cells with a hit in an image", hits, stretch.label),
    ]
    figures += [
        _of_signed(spec, k, signed[k], stretch.label) if k in signed else _of_cells(spec, k, statistics)
        for k in channels
    ]
    for number, variable in enumerate(spec.variables[:MOST_VARIABLES]):
        described = variable.long_name + (f" ({variable.units})" if variable.units != "1" else "")
        values = stretch.column(variable.name).astype(np.float64)
        figures.append(_of_samples(spec, f"variable-{number}", variable.name, described, values, stretch.label))
    return figures


@dataclass(frozen=True, kw_only=True, eq=False)
class Counts:
    """A histogram of the non-zero values of a channel by class.

    Attributes
    ----------
    edges
        float64 (bin + 1,), values as in the source files.
    content
        float64 (class, bin).
    """

    edges: Float64Array
    content: Float64Array

    @classmethod
    def between(cls, low: float, high: float, classes: int) -> "Counts":
        """Return an empty histogram."""
        return cls(edges=np.linspace(low, high, BINS + 1), content=np.zeros((classes, BINS)))

    def add(self, images: Float32Array, label: UInt8Array) -> None:
        """Count the values of images of one channel, (n, ieta, iphi), which have these labels."""
        for code in np.unique(label):
            of_class = images[label == code]
            self.content[code] += np.histogram(of_class[of_class != 0], self.edges)[0]


def _ends(statistics: xr.Dataset, channel: int) -> tuple[float, float]:
    """Return a range, symmetric around zero, that covers 98 % of the non-zero values of each class."""
    ends = statistics["quantile"].isel(channel=channel).sel(probability=[0.01, 0.99]).values
    high = float(np.nanmax(np.abs(ends), initial=0)) or 1.0
    return -high, high


def _of_samples(
    spec: DatasetSpec, name: str, title: str, described: str, values: Float64Array, label: UInt8Array
) -> Spectrum:
    """Return the spectrum of a number per image."""
    low, high = np.quantile(values, [ENDS, 1 - ENDS])
    bins = min(BINS, max(5, round(2 * values.size ** (1 / 3))))
    if (values == np.rint(values)).all():
        step = max(1, -(-int(high - low + 1) // bins))
        edges = np.arange(low, high + step + 1, step) - 0.5
    else:
        edges = np.linspace(low, high if high > low else low + 1, bins + 1)
    curves, means = [], []
    for code in range(len(spec.classes)):
        of_class = values[label == code]
        curves.append(np.histogram(of_class, edges)[0] / max(of_class.size, 1))
        means.append(float(of_class.mean()) if of_class.size else float("nan"))
    alt = f"Spectrum of {described} by class; means: {_listed(spec, means)}."
    figure = _draw(spec, title, described, "fraction of the images", edges, curves)
    return Spectrum(name=name, alt=alt, caption=f"Means: {_listed(spec, means)}.", figure=figure)


def _of_signed(spec: DatasetSpec, channel: int, counts: Counts, label: UInt8Array) -> Spectrum:
    """Return the spectrum of the cells of a channel with values of both signs, on a linear axis."""
    described = spec.channels[channel]
    content = counts.content / np.maximum(np.bincount(label, minlength=len(spec.classes)), 1)[:, None]
    edges = counts.edges * described.scale
    figure = _draw(spec, f"Cells: {described.name}", quantity(described), "cells per image", edges, content, log="y")
    shown = f"cells in this range per image: {_listed(spec, content.sum(axis=1).tolist())}."
    return Spectrum(
        name=f"channel-{channel}",
        alt=f"Spectrum of {quantity(described)} in cells with a hit by class, on a logarithmic vertical axis; {shown}",
        caption=shown[:1].upper() + shown[1:],
        figure=figure,
    )


def _of_cells(spec: DatasetSpec, channel: int, statistics: xr.Dataset) -> Spectrum:
    """Return the spectrum of the positive cells of a channel in the training split, on logarithmic axes."""
    described, of_channel = spec.channels[channel], statistics.isel(channel=channel)
    lower = of_channel["bin_lower"].values * described.scale
    positive = np.flatnonzero(lower > 0)
    histogram = of_channel["histogram"].transpose("class", "bin").values[:, positive]
    positive, histogram = positive[histogram.any(axis=0)], histogram[:, histogram.any(axis=0)]
    lower, upper = lower[positive], of_channel["bin_upper"].values[positive] * described.scale
    images = of_channel["images"].values[:, None]
    content = histogram / images / np.log2(upper / lower)
    shares = of_channel["nonzero_share"].values * statistics.sizes["ieta"] * statistics.sizes["iphi"]
    counted = "cells per image and factor of 2"
    bins = _without_gaps(lower, upper, content)
    figure = _draw(spec, f"Cells: {described.name}", quantity(described), counted, *bins, log="both")
    shown = f"cells that are not zero per image: {_listed(spec, shares.tolist())}."
    return Spectrum(
        name=f"channel-{channel}",
        alt=f"Spectrum of {quantity(described)} in cells above zero by class, on logarithmic axes; {shown}",
        caption=f"All training images; {shown}",
        figure=figure,
    )


def _without_gaps(lower: Float64Array, upper: Float64Array, content: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Return edges and contents of bins with empty ones where the given bins leave gaps."""
    edges, columns = [lower[0]] if lower.size else [0.1], []
    for low, high, column in zip(lower, upper, content.T, strict=True):
        if low > edges[-1]:
            edges.append(low)
            columns.append(np.zeros(len(content)))
        edges.append(high)
        columns.append(column)
    if not columns:
        edges, columns = [0.1, 1.0], [np.zeros(len(content))]
    return np.array(edges), np.stack(columns, axis=1)


def _draw(
    spec: DatasetSpec,
    title: str,
    x: str,
    y: str,
    edges: Float64Array,
    curves: Sequence[Float64Array] | Float64Array,
    *,
    log: str = "",
) -> Figure:
    """Draw a histogram of each class as steps; ``log`` is empty, ``"y"`` or ``"both"``."""
    classes = spec.classes[:MOST_CLASSES]
    figure, axes = style.new_figure(title, x, y, legend_rows=len(classes))
    lines = {
        name: axes.stairs(curve, edges, baseline=None, linewidth=1.5, **style.class_line(code))
        for code, (name, curve) in enumerate(zip(classes, curves, strict=False))
    }
    if log == "both":
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
    if log:
        axes.set_yscale("log", nonpositive="mask")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_ylim(bottom=0)
    style.legend(figure, lines, length=40)
    return figure


def _listed(spec: DatasetSpec, values: Sequence[float]) -> str:
    """Return a number of each class, with the name of the class."""
    named = zip(spec.classes[:MOST_CLASSES], values, strict=False)
    return ", ".join(f"{name} {value:.4g}" for name, value in named)
