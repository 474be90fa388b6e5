"""Colours of pages, and a style of figures: small, safe for colour-blind readers, and the same whenever drawn.

Inside a page, a figure takes the colours and the font of the page; see `store.pages.svg`.
"""

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from store.errors import printable

INK, MUTED, GRID, PAPER = "#1b1e24", "#5c6470", "#dfe3e8", "#ffffff"
PANEL = "#b4b9c1"
"""Background of images in light and dark pages: hits of all colours are seen on it."""

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
    "axes.titley": 1.0,  # nothing is above the axes; looking for it takes an eighth of the time of a figure
    "figure.facecolor": PAPER,
    "font.family": "DejaVu Sans",
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "image.composite_image": False,  # which would draw images beside each other as one of 72 dots per inch
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

LONGEST = 70
"""Characters of a title that fit into a figure."""

ROOM = 50
"""Characters of a label that fit along the width of a figure; longer labels are smaller."""

WIDTH, HEIGHT, ROW = 4.4, 3.2, 0.19
"""Size of a figure without its legend, and of one row of the legend, in inches."""

PAD = 0.4
"""Distance between the parts of a figure, in font sizes."""

styled = mpl.rc_context(_SETTINGS)
"""Decorator for functions that draw: applies this style while they run, and restores matplotlib's settings."""


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
    figure = Figure(figsize=(WIDTH, HEIGHT + ROW * legend_rows))
    axes = figure.add_subplot()
    title, x, y = (shorten(text, LONGEST) for text in (title, x, y))
    axes.set(title=title, xlabel=x, ylabel=y)
    for axis, room in ((axes.xaxis, ROOM), (axes.yaxis, ROOM * HEIGHT / WIDTH)):
        axis.label.set_fontsize(LABEL_SIZE * min(1, room / max(1, len(axis.label.get_text()))))
    return figure, axes


def legend(figure: Figure, entries: Mapping[str, Any], side: str = "left", length: int = 50) -> None:
    """Put a legend below the axes, where it does not cover the data."""
    labels = [shorten(text, length) for text in entries]
    figure.legend(list(entries.values()), labels, loc="lower left" if side == "left" else "lower right")


def lay_out(figure: Figure, top: float = 0.0) -> None:
    """Give the axes of a figure the room that titles, labels and legends leave.

    matplotlib's constrained layout measures axes four times, and draws once more.

    Parameters
    ----------
    figure
        The figure; axes that are not in a grid keep their place.
    top
        Height that is kept free at the upper edge, in inches.
    """
    if not all(axes.get_subplotspec() for axes in figure.axes):
        return
    height = figure.get_figheight() * figure.dpi
    legends = max((legend.get_window_extent().y1 / height for legend in figure.legends), default=0.0)
    figure.tight_layout(pad=PAD, rect=(0, legends, 1, 1 - top * figure.dpi / height))
    figure.set_layout_engine(None)  # what is left of it would draw each file twice
