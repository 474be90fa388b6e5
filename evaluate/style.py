"""Style of figures: small, safe for colour-blind readers, and the same byte for byte each time they are drawn.

Inside a page, a figure takes the colours and the font of the page.
"""

import hashlib
import html
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from store.errors import printable

INK, MUTED, GRID, PAPER = "#1b1e24", "#5c6470", "#dfe3e8", "#ffffff"
RUN_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#b5548f", "#56b4e9", "#e69f00")
CLASS_COLOURS = ("#b07d00", "#6a4fb3", "#00856f", "#c2452d", "#2b7bc0", "#b03a83", "#5f7a1f", "#6e5a4e")
MARKERS = ("o", "s", "^", "D")
DASHES: tuple[Any, ...] = ("-", (0, (4, 1.5)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)))

THEME = {
    "ink": (INK, "#e8eaed"),
    "muted": (MUTED, "#a3abb7"),
    "grid": (GRID, "#333a44"),
    "paper": (PAPER, "#15181d"),
    "run-0": (RUN_COLOURS[0], "#4ba6e3"),
    "run-1": (RUN_COLOURS[1], "#ff8c4a"),
    "run-2": (RUN_COLOURS[2], "#2fc79a"),
    "run-3": (RUN_COLOURS[3], "#e08fc2"),
    "run-4": (RUN_COLOURS[4], "#8fd0f5"),
    "run-5": (RUN_COLOURS[5], "#f5bd45"),
    "class-0": (CLASS_COLOURS[0], "#e0ae3a"),
    "class-1": (CLASS_COLOURS[1], "#a78df0"),
    "class-2": (CLASS_COLOURS[2], "#37c2a6"),
    "class-3": (CLASS_COLOURS[3], "#ff8a6b"),
    "class-4": (CLASS_COLOURS[4], "#6bb3f0"),
    "class-5": (CLASS_COLOURS[5], "#ea86c0"),
    "class-6": (CLASS_COLOURS[6], "#a8c45a"),
    "class-7": (CLASS_COLOURS[7], "#c3ab9c"),
}
"""Two colours for each name: one for files and light pages, one for dark pages."""

LABEL_SIZE = 9  # points
_SETTINGS: Any = {
    "axes.edgecolor": MUTED,
    "axes.facecolor": "none",
    "axes.formatter.useoffset": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.labelcolor": INK,
    "axes.labelsize": LABEL_SIZE,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "figure.facecolor": PAPER,
    "font.family": "DejaVu Sans",
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "lines.linewidth": 1.6,
    "path.simplify_threshold": 0.3,
    "savefig.dpi": 200,
    "svg.fonttype": "none",
    "svg.hashsalt": "calostream",
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
}

LONGEST, LONGEST_ORIGIN = 70, 100
"""Characters of a title, and of the origin of the data, that fit into a figure."""

ROOM = 50
"""Characters of a label that fit along the width of a figure; longer labels are smaller."""

WIDTH, HEIGHT, ROW = 4.4, 3.2, 0.19
"""Size of a figure without its legend, and of one row of the legend, in inches."""

LONGEST_IDENTIFIER = 80
"""Characters of an identifier, which is a part of the name of a file."""

LABEL_GAP = 0.065
"""Distance between two names beside the axes, as a fraction of the height of the axes."""

styled = mpl.rc_context(_SETTINGS)
"""Decorator for functions that draw: applies this style while they run, and restores matplotlib's settings."""


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


def class_line(index: int) -> dict[str, Any]:
    """Return the colour and the dashes of a class, which are different for the first 32 indices."""
    turn, colour = divmod(index, len(CLASS_COLOURS))
    return {"color": CLASS_COLOURS[colour], "linestyle": DASHES[(colour + turn) % len(DASHES)]}


def page_theme(classes: int) -> dict[str, tuple[str, str]]:
    """Return the part of `THEME` that a page about so many classes needs."""
    unused = {f"class-{index}" for index in range(classes, len(CLASS_COLOURS))}
    return {name: colours for name, colours in THEME.items() if name not in unused}


def shorten(text: str, length: int) -> str:
    """Return a text on one line and without control characters; its middle is cut out if it is longer than `length`."""
    text = printable(" ".join(text.split()))
    return text if len(text) <= length else f"{text[: length // 2]}…{text[1 - (length + 1) // 2 :]}"


def new_figure(title: str, x: str, y: str, legend_rows: int = 0) -> tuple[Figure, Axes]:
    """Return a figure with one pair of axes, and with room for a legend of `legend_rows` rows below them.

    Title and labels are cut to `LONGEST` characters.
    """
    figure = Figure(figsize=(WIDTH, HEIGHT + ROW * legend_rows), layout="constrained")
    axes = figure.add_subplot()
    title, x, y = (shorten(text, LONGEST) for text in (title, x, y))
    axes.set(title=title, xlabel=x, ylabel=y)
    for axis, room in ((axes.xaxis, ROOM), (axes.yaxis, ROOM * HEIGHT / WIDTH)):
        axis.label.set_fontsize(LABEL_SIZE * min(1, room / max(1, len(axis.label.get_text()))))
    return figure, axes


def legend(figure: Figure, entries: Mapping[str, Any], side: str = "left", length: int = 50) -> None:
    """Put a legend below the axes, where it does not cover the data."""
    labels = [shorten(text, length) for text in entries]
    figure.legend(list(entries.values()), labels, loc="outside lower left" if side == "left" else "outside lower right")


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
    if origin:
        write = figure.supxlabel if figure.get_suptitle() else figure.suptitle
        write(shorten(origin, LONGEST_ORIGIN), x=0.995, ha="right", color=MUTED, fontsize=7)
    svg, png, pdf = (stem.with_name(f"{stem.name}.{suffix}") for suffix in ("svg", "png", "pdf"))
    figure.savefig(svg, metadata={"Creator": None, "Date": None, "Format": None, "Type": None})
    figure.set_layout_engine(None)  # already laid out, and slow to lay out again
    figure.savefig(png, metadata={"Software": None})
    figure.savefig(pdf, metadata={"CreationDate": None, "Creator": None, "Producer": None})
    return svg, png, pdf


def as_identifier(text: str) -> str:
    """Return text as part of a file name or of an id in a page; different texts stay different.

    Characters other than ASCII letters, digits, ``_`` and ``-`` become their code points. Of a long text only the
    beginning is kept, followed by a digest.
    """
    identifier = re.sub(r"[^A-Za-z0-9_-]", lambda match: f".{ord(match[0]):x}.", text)
    if len(identifier) <= LONGEST_IDENTIFIER:
        return identifier
    return identifier[:LONGEST_IDENTIFIER] + hashlib.sha256(identifier.encode()).hexdigest()[:16]


def inline_svg(svg: str, name: str, alt: str) -> str:
    """Return a figure as an SVG element that takes colours and font from the page around it.

    Parameters
    ----------
    svg
        The file that `save` wrote.
    name
        Unique in the page, as `as_identifier` returns it; every id in the element begins with it.
    alt
        Text for screen readers.
    """
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<style.*?</style>|<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    view = re.search(r'viewBox="[^"]*"', svg)
    root = f'<svg role="img" aria-label="{html.escape(printable(alt))}" {view and view[0]}>'
    # Only tags are changed: a text may look like an attribute, but every < and > in it is escaped.
    return root + re.sub(r"<[^>]*>", lambda tag: _adapt_tag(tag[0], name), svg[svg.index(">") + 1 :])


def _adapt_tag(tag: str, name: str) -> str:
    """Return a tag of an SVG file with colours of the page, without a font, and with ids that begin with `name`."""
    tag = re.sub(r"font-family: [^;\"]*;? ?", "", tag)
    tag = re.sub(r'( id="|url\(#|href="#)', rf"\1{name}-", tag)
    for variable, (colour, _) in THEME.items():
        tag = tag.replace(f": {colour}", f": var(--{variable})")
    return tag
