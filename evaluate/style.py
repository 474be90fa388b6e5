"""Style of the figures of a report: that of all pages, with lines of runs; the same byte for byte whenever drawn."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from store.pages.style import (
    CLASS_COLOURS,
    DASHES,
    HEIGHT,
    INK,
    LONGEST,
    MARKERS,
    MUTED,
    PANEL,
    ROW,
    RUN_COLOURS,
    THEME,
    WIDTH,
    class_line,
    lay_out,
    legend,
    new_figure,
    page_theme,
    shorten,
    styled,
)
from store.pages.svg import as_identifier, inline_svg

__all__ = [
    "CLASS_COLOURS",
    "HEIGHT",
    "INK",
    "LONGEST",
    "MUTED",
    "PANEL",
    "ROW",
    "RUN_COLOURS",
    "THEME",
    "WIDTH",
    "as_identifier",
    "class_line",
    "inline_svg",
    "label_ends",
    "lay_out",
    "legend",
    "new_figure",
    "new_stack",
    "page_theme",
    "run_colour",
    "run_line",
    "run_marker",
    "save",
    "shorten",
    "spread",
    "styled",
]

LONGEST_ORIGIN = 100
"""Characters of the origin of the data that fit into a figure."""

ORIGIN = 0.15
"""Height of the line with the origin of the data, in inches."""

LOWER = 0.9
"""Height of lower axes, in inches."""

LABEL_GAP = 0.065
"""Distance between two names beside the axes, as a fraction of the height of the axes."""


def run_colour(index: int) -> str:
    """Return the colour of the run with that index in the report."""
    return RUN_COLOURS[index % len(RUN_COLOURS)]


def run_line(index: int) -> dict[str, Any]:
    """Return the colour and the dashes of a run.

    Overlapping lines stay visible because of the dashes, which also tell runs of the same colour apart.
    """
    return {"color": run_colour(index), "linestyle": DASHES[index % len(DASHES)]}


def run_marker(index: int) -> str:
    """Return the marker of a run; it tells runs of the same colour apart."""
    return MARKERS[index // len(RUN_COLOURS) % len(MARKERS)]


def new_stack(title: str, x: str, y: str, lower: str, legend_rows: int = 0) -> tuple[Figure, Axes, Axes]:
    """Return a figure like `new_figure`, with lower axes for ratios that share the horizontal axis; `lower` is their y.

    Title and labels are cut to `LONGEST` characters.
    """
    figure, axes = new_figure(title, "", y, legend_rows)
    figure.set_figheight(figure.get_figheight() + LOWER)
    grid = figure.add_gridspec(2, 1, height_ratios=(HEIGHT - 0.9, LOWER))
    axes.set_subplotspec(grid[0])
    axes.tick_params(labelbottom=False)
    ratio = figure.add_subplot(grid[1], sharex=axes)
    ratio.set(xlabel=shorten(x, LONGEST), ylabel=shorten(lower, LONGEST))
    ratio.axhline(1, color=MUTED, linewidth=0.9, linestyle=(0, (2, 2)))
    return figure, axes, ratio


def label_ends(axes: Axes, ends: Mapping[str, tuple[float, float, str]]) -> None:
    """Write names of curves beside the axes without overlap, each joined to the end of its curve (x, y, colour)."""
    low, high = axes.get_ylim()
    axes.set_ylim(low, high)
    named = sorted(((y if np.isfinite(y) else low, x, colour, name) for name, (x, y, colour) in ends.items()))
    heights = spread([(y - low) / (high - low) for y, *_ in named], LABEL_GAP)
    for (y, x, colour, name), height in zip(named, heights, strict=True):
        line = {"arrowstyle": "-", "color": colour, "linewidth": 0.6, "alpha": 0.7}
        axes.annotate(
            shorten(name, 22),
            (x, y),
            (1.04, height),
            textcoords="axes fraction",
            color=colour,
            fontsize=8,
            va="center",
            annotation_clip=False,
            arrowprops=line | {"relpos": (0, 0.5), "shrinkA": 1, "shrinkB": 2},
        )


def spread(ascending: Sequence[float], gap: float) -> list[float]:
    """Move heights apart to a distance of `gap`, or less if there is no room, within [0, 1] and in their order."""
    gap = min(gap, 1 / max(1, len(ascending) - 1))
    heights: list[float] = []
    for height in ascending:
        heights.append(max(height, heights[-1] + gap if heights else 0.0))
    ceiling = 1.0
    for index in reversed(range(len(heights))):
        heights[index] = min(heights[index], ceiling)
        ceiling = heights[index] - gap
    return heights


@styled
def save(figure: Figure, stem: Path, origin: str = "") -> tuple[Path, Path, Path]:
    """Write a figure as ``.svg``, ``.png`` and ``.pdf``, without dates or versions, and return the three paths.

    `origin` says what simulated the data, or is empty. It is written small at an edge of the figure, because figures
    are copied out of reports.
    """
    _number_ids(figure)
    lay_out(figure, ORIGIN if origin else 0)
    if origin:
        y = 1 - 0.3 * ORIGIN / figure.get_figheight()
        figure.text(0.995, y, shorten(origin, LONGEST_ORIGIN), ha="right", va="top", color=MUTED, fontsize=7)
    svg, png, pdf = (stem.with_name(f"{stem.name}.{suffix}") for suffix in ("svg", "png", "pdf"))
    figure.savefig(svg, metadata={"Creator": None, "Date": None, "Format": None, "Type": None})
    figure.savefig(png, metadata={"Software": None})
    figure.savefig(pdf, metadata={"CreationDate": None, "Creator": None, "Producer": None})
    return svg, png, pdf


def _number_ids(figure: Figure) -> None:
    """Make the ids of what `evaluate.series` has marked different: an id may be in a file only once."""
    drawn = [artist for axes in figure.axes for artist in (*axes.lines, *axes.collections, *axes.patches)]
    keys = [artist for legend in figure.legends for artist in (*legend.legend_handles, *legend.get_texts())]
    marked = [artist for artist in (*drawn, *keys) if artist is not None and artist.get_gid()]
    for count, artist in enumerate(marked, start=1):
        series, part, *_ = str(artist.get_gid()).split(".")
        artist.set_gid(f"{series}.{part}.{count}")
