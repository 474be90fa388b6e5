"""Figures of many images: all of them on one pair of axes, because matplotlib takes long for axes."""

from collections.abc import Sequence
from typing import Literal

import matplotlib as mpl
import numpy as np
from matplotlib.colors import AsinhNorm, LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import LogLocator, MaxNLocator

from evaluate import style
from store.arrays import Float32Array, Float64Array
from store.average_images import block_size
from store.datasets import DatasetSpec

LEFT, RIGHT, TOP, BOTTOM = 0.68, 0.72, 0.36, 0.5
"""Room for the texts around the images, in inches."""

NARROWEST = 4
"""An image that is longer than this many times its width is stretched, because it would be a line."""

HIGHEST = 2
"""Largest height of an image, relative to the width that it may have."""

BAR, BAR_GAP = 0.1, 0.07  # width of a colour bar, and its distance from the images, in inches
SMALL = 7.5  # points
MOST_TICKS = 4  # along a side of an image
SHADES = 256


class Sheet:
    """A figure of images in rows and columns, with a colour bar at the end of a row; all lengths are inches.

    Attributes
    ----------
    figure
        The figure.
    """

    def __init__(self, title: str, width: float, height: float) -> None:
        """Make a sheet whose images with their colour bars take `width` x `height`."""
        size = LEFT + width + RIGHT, TOP + height + BOTTOM
        self.figure = Figure(figsize=size)
        self._axes = self.figure.add_axes((LEFT / size[0], BOTTOM / size[1], width / size[0], height / size[1]))
        self._axes.set(xlim=(0, width), ylim=(height, 0), xticks=[], yticks=[])
        self._axes.grid(visible=False)
        self._axes.spines[:].set_visible(False)
        self._axes.tick_params(labelsize=SMALL)
        left, top = 0.08 / size[0], 1 - 0.07 / size[1]
        self.figure.suptitle(title, fontsize=10, fontweight="bold", x=left, y=top, ha="left", va="top", color=style.INK)

    def draw(
        self,
        image: Float32Array | Float64Array,
        box: tuple[float, float, float, float],
        norm: Normalize,
        colours: str,
    ) -> AxesImage:
        """Draw an image (ieta, iphi) at (left, top, width, height); masked cells have the background of all pages."""
        left, top, width, height = box
        return self._axes.imshow(
            image,
            norm=norm,
            cmap=mpl.colormaps[colours].with_extremes(bad=style.PANEL),
            origin="lower",
            extent=(left, left + width, top + height, top),
            interpolation="none",
            aspect="auto",
        )

    def write(self, text: str, x: float, y: float, *, bold: bool = False) -> None:
        """Write a text centred above a point."""
        weight = "bold" if bold else "normal"
        self._axes.text(x, y, text, ha="center", va="bottom", fontsize=8, fontweight=weight)

    def name_row(self, text: str, y: float) -> None:
        """Write the name of a row at its left, centred at a height."""
        self._axes.text(-LEFT + 0.06, y, text, rotation=90, ha="left", va="center", fontsize=8, linespacing=1.3)

    def number_cells(
        self, columns: Sequence[tuple[float, float]], rows: Sequence[tuple[float, float]], spec: DatasetSpec
    ) -> None:
        """Write numbers of cells, from the seed, below columns (left, width) and beside rows (top, height)."""
        eta, phi = (_find_ticks(side, cell, spec) for side, cell in zip(spec.image_shape, spec.seed, strict=False))
        self._axes.set_xticks([left + width * part for left, width in columns for part in phi.values()])
        self._axes.set_xticklabels([*phi] * len(columns))
        self._axes.set_yticks([top + height * (1 - part) for top, height in rows for part in eta.values()])
        self._axes.set_yticklabels([*eta] * len(rows))

    def label_columns(self, text: str) -> None:
        """Write what is along the columns, below them."""
        self._axes.set_xlabel(text, fontsize=8)

    def draw_bar(self, left: float, top: float, height: float, norm: Normalize, colours: str, label: str) -> None:
        """Draw a colour bar with its numbers and a label."""
        shades = mpl.colormaps[colours](np.linspace(0, 1, SHADES))[:, np.newaxis]
        self._axes.imshow(shades, origin="lower", extent=(left, left + BAR, top + height, top), aspect="auto")
        for value in bar_ticks(norm):
            y = top + height * (1 - float(norm(value)))
            self._axes.text(left + BAR + 0.04, y, f"{value:g}", va="center_baseline", fontsize=SMALL, color=style.INK)
        self._axes.text(left + BAR + 0.62, top + height / 2, label, rotation=90, ha="right", va="center", fontsize=8)


def aspect(shape: Sequence[int]) -> Literal["auto", "equal"]:
    """Return how an image is scaled: its cells are squares, unless it is too narrow to be seen."""
    return "auto" if max(shape[:2]) > NARROWEST * min(shape[:2]) else "equal"


def panel_size(shape: Sequence[int], width: float) -> tuple[float, float]:
    """Return width and height of an image of that shape (ieta, iphi, ...), at most `width` wide."""
    if aspect(shape) == "auto":
        return width, width
    height = width * min(shape[0] / shape[1], HIGHEST)
    return height * shape[1] / shape[0], height


def _find_ticks(side: int, seed: int, spec: DatasetSpec) -> dict[str, float]:
    """Return the cells to number along a side, counted from the seed, and where they are as a fraction of the side."""
    size = block_size(spec.image_shape)
    drawn = -(-side // size) * size
    ticks = MaxNLocator(MOST_TICKS, integer=True, steps=[1, 2, 5, 10]).tick_values(-seed, side - 1 - seed)
    return {f"{tick:.0f}": (tick + seed + 0.5) / drawn for tick in ticks if -seed <= tick < side - seed}


def bar_ticks(norm: Normalize) -> list[float]:
    """Return the values that are written beside a colour bar."""
    low, high = float(norm.vmin or 0), float(norm.vmax or 1)
    if isinstance(norm, AsinhNorm):
        power = 10.0 ** np.floor(np.log10(high))
        return [-power, 0.0, power]
    if isinstance(norm, LogNorm):
        ticks = LogLocator(subs=(1,) if high >= 100 * low else (1, 2, 5)).tick_values(low, high)
    else:
        ticks = MaxNLocator(MOST_TICKS).tick_values(low, high)
    return [float(tick) for tick in ticks if low <= tick <= high]
