"""Which run or class each line of a figure belongs to, so that a page can show its values, and hide it.

A part of a figure gets its series as an id in the SVG file: ``run-0.value.3`` is the third marked part, has the values
of the first run, and `interactive` turns it into attributes that the page's script reads. Without a script, nothing of
this changes how a figure looks.
"""

import html
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.container import Container
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from evaluate import style
from store.errors import printable

OTHERS = "class-others"
"""The series of all classes but one, together."""
POINTS_PER_INCH = 72  # in SVG files


def of_run(index: int) -> str:
    """Return the series of a run."""
    return f"run-{index}"


def of_class(index: int) -> str:
    """Return the series of a class."""
    return f"class-{index}"


def name(classes: Sequence[str], runs: Sequence[str]) -> dict[str, str]:
    """Return the names of all series of a report, from the names of its classes, and of its runs and ensembles."""
    of_classes = {of_class(index): text for index, text in enumerate(classes)}
    return of_classes | {OTHERS: "other classes"} | {of_run(index): text for index, text in enumerate(runs)}


def mark(series: str, *artists: Artist | Container, part: str = "part") -> None:
    """Say which series artists belong to.

    Parameters
    ----------
    series
        What `of_run` or `of_class` returns.
    artists
        Artists, or containers of them such as error bars.
    part
        ``"value"`` for a line whose height is the value of the series, ``"key"`` for an entry of a legend, ``"part"``
        for anything else. Of error bars, ``"value"`` is meant for the points alone.
    """
    for artist in artists:
        if not isinstance(artist, Container):
            artist.set_gid(f"{series}.{part}")
            if part == "value" and isinstance(artist, Line2D):
                artist.get_path().should_simplify = False  # or values that are read from the drawing are off
            continue
        for number, child in enumerate(artist.get_children()):
            mark(series, child, part="part" if number else part)


def legend(
    figure: Figure, entries: Mapping[str, Any], series: Sequence[str], side: str = "left", length: int = 50
) -> None:
    """Put a legend below the axes as `evaluate.style.legend`, whose entries switch the series of the same number."""
    style.legend(figure, entries, side, length)
    drawn = figure.legends[-1]
    for name, handle, text in zip(series, drawn.legend_handles, drawn.get_texts(), strict=True):
        mark(name, *(part for part in (handle, text) if part is not None), part="key")


def interactive(svg: str, figure: Figure, names: Mapping[str, str]) -> str:
    """Return an SVG element with what the script of a page needs to show values and to hide series.

    Parameters
    ----------
    svg
        What `evaluate.style.inline_svg` returned for the figure.
    figure
        The figure, after it was saved.
    names
        Names of the series.
    """
    svg, count = re.subn(r'(<g id="[^"]*-((?:run|class)-\w+)\.(\w+)\.\d+")', r'\1 data-series="\2" data-part="\3"', svg)
    if not count:
        return svg
    shown = set(re.findall(r'data-series="([^"]*)"', svg))
    data = {
        "axes": [_describe(figure, axes) for axes in figure.axes],
        "names": {key: printable(names[key]) for key in sorted(shown)},
    }
    return svg.replace("<svg ", f'<svg data-plot="{html.escape(json.dumps(data))}" ', 1)


def _describe(figure: Figure, axes: Axes) -> dict[str, Any]:
    """Return where axes are in the SVG file, in points from the upper left, and what their edges mean."""
    box = axes.get_position()
    width, height = (POINTS_PER_INCH * side for side in figure.get_size_inches())
    return {
        "left": round(box.x0 * width, 3),
        "right": round(box.x1 * width, 3),
        "top": round((1 - box.y1) * height, 3),
        "bottom": round((1 - box.y0) * height, 3),
        "x": [*map(float, axes.get_xlim()), axes.get_xscale()],
        "y": [*map(float, axes.get_ylim()), axes.get_yscale()],
        "label": axes.get_xlabel() or next((twin.get_xlabel() for twin in _sharing(axes) if twin.get_xlabel()), ""),
        "title": axes.get_ylabel(),
    }


def _sharing(axes: Axes) -> list[Axes]:
    """Return the axes that share the horizontal axis."""
    return list(axes.get_shared_x_axes().get_siblings(axes))
