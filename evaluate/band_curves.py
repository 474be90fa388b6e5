"""Parts of figures that show curves with bands of errors, and below them ratios of these curves."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from evaluate import series, style
from evaluate.bands import BACKGROUND_EFFICIENCIES, SIGNAL_EFFICIENCIES, Band, CurveBands
from store.arrays import Float64Array

SHADE = 0.18
"""Opacity of a band of errors."""
RATIO_FROM = 0.1
"""Efficiency from which a ratio determines the range of its axis: below, errors are large."""
COVERED = 0.5, 97
"""Percentiles of the ends of bands that an axis of ratios shows."""
NARROWEST = 0.01
"""Least distance between 1 and the ends of an axis of ratios."""


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A curve of a figure.

    Attributes
    ----------
    text
        Its entry in the legend.
    series
        What `evaluate.series.of_run` or `of_class` returns.
    line
        Colour and dashes.
    bands
        What `evaluate.bands.measure_bands` returned for it.
    """

    text: str
    series: str
    line: dict[str, Any]
    bands: CurveBands


def draw_rocs(titles: tuple[str, str, str], curves: Sequence[Curve], first: str) -> Figure:
    """Draw signal efficiency against background efficiency.

    Below are the ratios to other curves, if the bands have them.

    Parameters
    ----------
    titles
        Title and labels of the axes.
    curves
        The curves, in the order of the legend.
    first
        What the ratios are to.
    """
    ratios = [(curve, curve.bands.signal_ratio) for curve in curves if curve.bands.signal_ratio]
    figure, axes, lower = _new_figure(titles, len(curves), first if ratios else "")
    axes.axline((0, 0), slope=1, color=style.MUTED, linewidth=0.9, linestyle=(0, (2, 2)))
    entries = {}
    for curve in curves:
        signal = curve.bands.signal
        entries[curve.text] = _draw_band(axes, BACKGROUND_EFFICIENCIES, signal, curve)
        series.mark(curve.series, axes.vlines(0, 0, signal.value[0], **curve.line))
    axes.set(xlim=(0, 1), ylim=(0, 1))
    if lower:
        _draw_ratios(lower, BACKGROUND_EFFICIENCIES, ratios)
    series.legend(figure, entries, [curve.series for curve in curves])
    return figure


def draw_rejections(titles: tuple[str, str, str], curves: Sequence[Curve], first: str) -> Figure:
    """Draw 1 / background efficiency against signal efficiency; parameters as `draw_rocs`."""
    ratios = [(curve, curve.bands.rejection_ratio) for curve in curves if curve.bands.rejection_ratio]
    figure, axes, lower = _new_figure(titles, len(curves), first if ratios else "")
    entries = {curve.text: _draw_band(axes, SIGNAL_EFFICIENCIES, curve.bands.rejection, curve) for curve in curves}
    axes.set(xlim=(0, 1), yscale="log")
    axes.set_ylim(bottom=1)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axes.yaxis.set_minor_locator(NullLocator())
    if lower:
        _draw_ratios(lower, SIGNAL_EFFICIENCIES, ratios)
    series.legend(figure, entries, [curve.series for curve in curves])
    return figure


def _new_figure(titles: tuple[str, str, str], rows: int, first: str) -> tuple[Figure, Axes, Axes | None]:
    """Return a figure with axes, and with lower axes if there is something that ratios are to."""
    if not first:
        return *style.new_figure(*titles, rows), None
    figure, axes, lower = style.new_stack(*titles, "ratio", rows)
    lower.set_title(f"ratio to {style.shorten(first, 40)}", fontsize=8, fontweight="normal")
    return figure, axes, lower


def _draw_band(axes: Axes, x: Float64Array, band: Band, curve: Curve) -> Line2D:
    """Draw a curve with its band, and return the line."""
    (line,) = axes.plot(x, band.value, **curve.line)
    shade = axes.fill_between(x, band.low, band.high, color=curve.line["color"], alpha=SHADE, linewidth=0)
    series.mark(curve.series, line, part="value")
    series.mark(curve.series, shade)
    return line


def _draw_ratios(axes: Axes, x: Float64Array, ratios: Sequence[tuple[Curve, Band]]) -> None:
    """Draw ratios on an axis that the least certain points do not determine."""
    for curve, band in ratios:
        _draw_band(axes, x, band, curve)
    ends = np.concatenate([part[x >= RATIO_FROM] for _, band in ratios for part in (band.low, band.high)])
    low, high = np.nanpercentile(ends, COVERED) if np.isfinite(ends).any() else (1, 1)
    low, high = min(low, 1 - NARROWEST), max(high, 1 + NARROWEST)
    axes.set_ylim(low - 0.1 * (high - low), high + 0.1 * (high - low))
    axes.yaxis.set_major_locator(MaxNLocator(3))
