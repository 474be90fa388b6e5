"""Figures of how well runs separate two classes, and of how far their scores are probabilities."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator
from numpy.typing import ArrayLike

from evaluate import metrics, ranking, series, style
from evaluate.bands import BACKGROUND_EFFICIENCIES, POINTS, SIGNAL_EFFICIENCIES, Band, CurveBands, measure_bands
from evaluate.runs import Classifier
from store.arrays import Float64Array

SHADE = 0.18
"""Opacity of a band of errors."""
RATIO_FROM = 0.1
"""Efficiency from which a ratio determines the range of its axis: below, errors are large."""
NARROWEST = 0.01
"""Least distance between 1 and the ends of an axis of ratios."""


@style.styled
def draw_roc(runs: Sequence[Classifier], bands: Sequence[CurveBands] | None = None) -> Figure:
    """Draw the ROC curve of every run on the test split: signal efficiency against background efficiency.

    Below are the ratios to the first run of those with the same samples, if there are any.

    Parameters
    ----------
    runs
        Runs and ensembles in the order of their colours.
    bands
        What `evaluate.bands.measure_bands` returned for their test split; by default it is called.
    """
    bands = bands or measure_bands([run.predictions["test"] for run in runs])
    background, signal = class_names(runs)
    titles = "ROC curve", f"{background} efficiency", f"{signal} efficiency"
    ratios = {index: of_run.signal_ratio for index, of_run in enumerate(bands) if of_run.signal_ratio}
    figure, axes, lower = _new_figure(titles, len(runs), ratios, runs[0].name)
    axes.axline((0, 0), slope=1, color=style.MUTED, linewidth=0.9, linestyle=(0, (2, 2)))
    entries = {}
    for index, (run, of_run) in enumerate(zip(runs, bands, strict=True)):
        auc = ranking.auc(*run.predictions["test"].scored)
        text = f"{run.name}: AUC {auc.value:.4f} ± {auc.standard_error:.4f}"
        entries[text] = draw_band(axes, BACKGROUND_EFFICIENCIES, of_run.signal, index)
        series.mark(series.of_run(index), axes.vlines(0, 0, of_run.signal.value[0], **style.run_line(index)))
    axes.set(xlim=(0, 1), ylim=(0, 1))
    if lower:
        draw_ratios(lower, BACKGROUND_EFFICIENCIES, ratios)
    series.legend(figure, entries, [series.of_run(index) for index in range(len(runs))])
    return figure


@style.styled
def draw_rejection(runs: Sequence[Classifier], bands: Sequence[CurveBands] | None = None) -> Figure:
    """Draw background rejection, 1 / background efficiency, against signal efficiency; parameters as `draw_roc`."""
    bands = bands or measure_bands([run.predictions["test"] for run in runs])
    background, signal = class_names(runs)
    titles = "Background rejection", f"{signal} efficiency", f"{background} rejection"
    ratios = {index: of_run.rejection_ratio for index, of_run in enumerate(bands) if of_run.rejection_ratio}
    figure, axes, lower = _new_figure(titles, len(runs), ratios, runs[0].name)
    entries = {}
    for index, (run, of_run) in enumerate(zip(runs, bands, strict=True)):
        entries[run.name] = draw_band(axes, SIGNAL_EFFICIENCIES, of_run.rejection, index)
    axes.set(xlim=(0, 1))
    scale_rejections(axes)
    if lower:
        draw_ratios(lower, SIGNAL_EFFICIENCIES, ratios)
    series.legend(figure, entries, [series.of_run(index) for index in range(len(runs))])
    return figure


def scale_rejections(axes: Axes) -> None:
    """Make the vertical axis that of rejections: logarithmic, from 1, with whole numbers."""
    axes.set_yscale("log")
    axes.set_ylim(bottom=1)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.yaxis.set_minor_locator(NullLocator())


def _new_figure(
    titles: tuple[str, str, str], rows: int, ratios: Mapping[int, Band], first: str
) -> tuple[Figure, Axes, Axes | None]:
    """Return a figure with axes, and with lower axes if there are ratios."""
    if not ratios:
        return *style.new_figure(*titles, rows), None
    title, x, y = titles
    figure, axes, lower = style.new_stack(title, x, y, "ratio", rows)
    lower.set_title(f"ratio to {style.shorten(first, 40)}", fontsize=8, fontweight="normal")
    return figure, axes, lower


def draw_band(axes: Axes, x: Float64Array, band: Band, index: int) -> Line2D:
    """Draw the curve of a run with its band, and return the line."""
    (line,) = axes.plot(x, band.value, **style.run_line(index))
    shade = axes.fill_between(x, band.low, band.high, color=style.run_colour(index), alpha=SHADE, linewidth=0)
    series.mark(series.of_run(index), line, part="value")
    series.mark(series.of_run(index), shade)
    return line


def draw_ratios(axes: Axes, x: Float64Array, ratios: Mapping[int, Band]) -> None:
    """Draw ratios to the first run, on an axis that the least certain points do not determine."""
    for index, band in ratios.items():
        draw_band(axes, x, band, index)
    ends = [part[x >= RATIO_FROM] for band in ratios.values() for part in (band.low, band.high)]
    low, high = np.nanmin([1 - NARROWEST, *map(np.nanmin, ends)]), np.nanmax([1 + NARROWEST, *map(np.nanmax, ends)])
    axes.set_ylim(low - 0.1 * (high - low), high + 0.1 * (high - low))
    axes.yaxis.set_major_locator(MaxNLocator(3))


@style.styled
def draw_precision_recall(runs: Sequence[Classifier], split: str = "test") -> Figure:
    """Draw precision, the fraction of signal among what passes a cut, against recall.

    Parameters
    ----------
    runs
        Runs and ensembles in the order of their colours.
    split
        Split whose predictions are shown.
    """
    signal = class_names(runs)[1]
    figure, axes = style.new_figure("Precision and recall", f"{signal} efficiency (recall)", "precision", len(runs))
    entries = {}
    recall = np.linspace(0, 1, POINTS)[1:]
    for index, run in enumerate(runs):
        curve = ranking.roc(*run.predictions[split].scored)
        text = f"{run.name}: average {curve.average_precision:.4f}"
        rows = np.minimum(np.searchsorted(curve.signal, recall), curve.signal.size - 1)
        (entries[text],) = axes.plot(recall, curve.precision[rows], **style.run_line(index))
        series.mark(series.of_run(index), entries[text], part="value")
    axes.set(xlim=(0, 1), ylim=(None, 1))
    series.legend(figure, entries, [series.of_run(index) for index in range(len(runs))])
    return figure


@style.styled
def draw_calibration(runs: Sequence[Classifier], split: str = "test") -> Figure:
    """Draw the fraction of signal against the mean score in bins, with binomial errors.

    Parameters as `draw_precision_recall`.
    """
    signal = class_names(runs)[1]
    figure, axes = style.new_figure("Calibration", "mean score", f"fraction of {signal}s", len(runs))
    bins = [metrics.calibration(*run.predictions[split].scored) for run in runs]
    texts = [f"{run.name}: expected error {one.expected_error:.4f}" for run, one in zip(runs, bins, strict=True)]
    draw_bins(figure, axes, texts, [(one.score, one.frequency, one.error) for one in bins])
    return figure


def draw_bins(
    figure: Figure, axes: Axes, texts: Sequence[str], bins: Sequence[tuple[ArrayLike, ArrayLike, ArrayLike]]
) -> None:
    """Draw one calibration curve per run: the mean probability in each bin, what it should equal, and its error."""
    axes.axline((0, 0), slope=1, color=style.MUTED, linewidth=0.9, linestyle=(0, (2, 2)))
    entries = {}
    for index, (text, (probability, frequency, error)) in enumerate(zip(texts, bins, strict=True)):
        entries[text] = axes.errorbar(
            probability,
            frequency,
            error,
            **style.run_line(index),
            marker=style.run_marker(index),
            markersize=3.5,
            elinewidth=0.9,
        )
        series.mark(series.of_run(index), entries[text], part="value")
    axes.set(xlim=(0, 1), ylim=(0, 1))
    series.legend(figure, entries, [series.of_run(index) for index in range(len(texts))])


def class_names(runs: Sequence[Classifier]) -> tuple[str, str]:
    """Return the names of background and signal: the classes of the runs if all runs have the same ones."""
    names = {(run.spec.classes[0], run.spec.classes[1]) for run in runs}
    return names.pop() if len(names) == 1 else ("background", "signal")
