"""Figures of the training images: average image of each class, difference of the classes, and occlusion maps."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colorbar import Colorbar
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import LogFormatter, MaxNLocator

from evaluate import style
from evaluate.sheet import BAR, BAR_GAP, Sheet, aspect, panel_size
from store.arrays import Float64Array
from store.average_images import average_images, block_size, coarsen
from store.datasets import DatasetSpec

if TYPE_CHECKING:
    import xarray

MOST_CHANNELS = 8
"""Channels of which images are drawn; pictures of more would be too small or too many to be read."""

MOST_CLASSES = 10
"""Classes of which average images are drawn."""

FEW_CELLS = 10  # along a side, so few that ticks between them would be seen
COLUMNS = 5  # of a figure of several classes
SMALLEST, ALL = 1.0, 2.9  # width of an image in such a figure, and of those of a row that is not full, in inches
GAP, TITLE, LOWEST = 0.07, 0.3, 0.75  # between images, for the text above a row, and height of a row, in inches
CHARACTERS = 13  # of a title per inch
LONGEST_LABEL = 18


def contrast(image: Float64Array, other: Float64Array) -> Float64Array:
    """Return the difference of two average images over their sum, by cell; 0 where the sum is not positive."""
    total = image + other
    return np.divide(image - other, total, out=np.zeros_like(total), where=total > 0)


@style.styled
def draw_average(statistics: "xarray.Dataset", spec: DatasetSpec, channel: int, label: int) -> Figure:
    """Draw the average image of one channel and class, on a scale that all classes share: logarithmic for a mean."""
    kind, images = average_images(statistics, channel)
    name = spec.channels[channel].name
    title = f"{kind[0].upper()}{kind[1:]} {name}, {spec.classes[label]}"
    return _draw(images[label], spec, title, _average_scale(kind, images), "viridis", f"{kind} {name}")


@style.styled
def draw_asymmetry(statistics: "xarray.Dataset", spec: DatasetSpec, channel: int) -> Figure:
    """Draw the asymmetry of the average images of the two classes: their difference over their sum, by cell."""
    kind, (background, signal) = average_images(statistics, channel)
    name = spec.channels[channel].name
    label = f"({style.shorten(spec.classes[1], 20)} - {style.shorten(spec.classes[0], 20)}) / sum"
    title = f"{kind[0].upper()}{kind[1:]} {name}, asymmetry"
    image = contrast(signal, background)
    return _draw(image, spec, title, _contrast_scale(image), "RdBu_r", label)


@style.styled
def draw_averages(statistics: "xarray.Dataset", spec: DatasetSpec, channel: int) -> Figure:
    """Draw the average images of one channel for up to `MOST_CLASSES` classes, and how each class differs.

    The lower panels show the difference between a class and the mean of all other classes, over the sum of the two.
    Upper and lower panels each share one scale.
    """
    kind, images = average_images(statistics, channel)
    others = (images.sum(axis=0) - images) / (len(images) - 1)
    differences, classes = contrast(images, others), spec.classes[:MOST_CLASSES]
    columns = min(len(classes), COLUMNS)
    rows = -(-len(classes) // columns)
    name = spec.channels[channel].name
    parts = (
        (images, _average_scale(kind, images), "viridis", f"{kind} {name}"),
        (differences, _contrast_scale(differences), "RdBu_r", "difference / sum"),
    )
    width, height = panel_size(spec.image_shape, max(SMALLEST, (ALL + GAP) / columns - GAP))
    pitch = TITLE + max(height, LOWEST)
    bar = (width + GAP) * columns - GAP + BAR_GAP
    sheet = Sheet(style.shorten(f"{kind[0].upper()}{kind[1:]} {name}", style.LONGEST), bar + BAR, 2 * rows * pitch)
    lefts = [(width + GAP) * column for column in range(columns)]
    tops = [pitch * row + TITLE for row in range(2 * rows)]
    for first, (pictures, scale, colours, label) in zip((0, rows), parts, strict=True):
        for number, (image, title) in enumerate(zip(pictures, classes, strict=False)):
            left, top = lefts[number % columns], tops[first + number // columns]
            sheet.draw(coarsen(image), (left, top, width, height), scale, colours)
            sheet.write(style.shorten(title, int(CHARACTERS * width)), left + width / 2, top - 0.04)
        for top in tops[first : first + rows]:
            sheet.name_row("ieta", top + height / 2)
            sheet.draw_bar(bar, top, height, scale, colours, style.shorten(label, LONGEST_LABEL))
    sheet.number_cells([(left, width) for left in lefts], [(top, height) for top in tops], spec)
    sheet.label_columns("iphi")
    return sheet.figure


@style.styled
def draw_occlusion(maps: Mapping[int, Float64Array], spec: DatasetSpec, label: int, name: str) -> Figure:
    """Draw how much the score of one class changes when a patch is hidden, on a scale that all maps share.

    Parameters
    ----------
    maps
        float64 (y, x), by class; classes without samples are left out.
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
    title = f"{style.shorten(name, 20)}, {style.shorten(spec.classes[label], 30)}"
    scale = Normalize(0, max(float(changes.max()) for changes in maps.values()) or 1.0)
    return _draw(image, spec, title, scale, "viridis", "mean change of the score")


def _average_scale(kind: str, images: Float64Array) -> Normalize:
    """Return the colour scale of average images (class, ieta, iphi).

    It is logarithmic if they are means whose positive values extend over more than a decade.
    """
    positive = images[images > 0]
    low, high = (float(positive.min()), float(positive.max())) if positive.size else (1.0, 1.0)
    if kind == "mean" and 10 * low < high:
        return LogNorm(max(low, high * 1e-5), high)
    return Normalize(float(images.min()) if kind == "mean" and low < high else 0, high)


def _contrast_scale(image: Float64Array) -> Normalize:
    limit = min(1.0, float(np.abs(image).max())) or 1.0  # noise below zero can make a ratio larger than 1
    return Normalize(-limit, limit)


def _draw(image: Float64Array, spec: DatasetSpec, title: str, scale: Normalize, colours: str, label: str) -> Figure:
    figure, axes = style.new_figure(title, "iphi relative to the seed", "ieta relative to the seed")
    picture = _show(axes, image, spec, scale, colours)
    _put_ticks_on_cells(axes, spec)
    _tidy(figure.colorbar(picture, ax=axes, label=label, pad=0.02, format="%g"), scale)
    return figure


def _show(axes: Axes, image: Float64Array, spec: DatasetSpec, scale: Normalize, colours: str) -> AxesImage:
    """Draw an image (ieta, iphi) with coordinates relative to the seed."""
    eta, phi = spec.seed
    drawn, size = coarsen(image), block_size(spec.image_shape)
    rows, columns = (size * side for side in drawn.shape)
    extent = (-phi - 0.5, columns - phi - 0.5, -eta - 0.5, rows - eta - 0.5)
    picture = axes.imshow(
        drawn,
        norm=scale,
        cmap=colours,
        origin="lower",
        extent=extent,
        interpolation="none",
        aspect=aspect(spec.image_shape),
    )
    axes.grid(visible=False)
    return picture


def _put_ticks_on_cells(axes: Axes, spec: DatasetSpec) -> None:
    """Put ticks at whole cells along sides with few cells."""
    for axis, side in ((axes.yaxis, spec.image_shape[0]), (axes.xaxis, spec.image_shape[1])):
        if side < FEW_CELLS:
            axis.set_major_locator(MaxNLocator(FEW_CELLS, integer=True, min_n_ticks=1))


def _tidy(bar: Colorbar, scale: Normalize) -> None:
    bar.outline.set_visible(False)
    if isinstance(scale, LogNorm):
        bar.ax.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(1, 0.5)))
