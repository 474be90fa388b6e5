"""Figures of trainings by epoch and by time."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from evaluate import series, style
from evaluate.runs import BASELINES, Run

QUANTITIES = {"loss": "loss", "accuracy": "accuracy", "auc": "ROC AUC"}
MOST_MARKERS = 40
"""Epochs of a run up to which each of them has a marker."""
MARKER_SIZE = 3.5
TRAIN_DASHES = (0, (2, 1.5))
LEVEL_DASHES = (0, (6, 1.5, 1.2, 1.5))
PANEL = 3.0
"""Width of a panel for baselines, in inches."""


def by_index(runs: Sequence[Run], *, baselines: bool) -> dict[int, Run]:
    """Return the baselines or the networks of a report, by their index in it, which determines their colour."""
    return {index: run for index, run in enumerate(runs) if (run.framework in BASELINES) == baselines}


@style.styled
def draw_history(runs: Sequence[Run], quantity: str) -> Figure:
    """Draw a quantity by epoch on the training and the validation split, for the networks.

    A baseline, which has no epochs, is a level line at its last value on the validation split, if that is near the
    values of the networks.

    Parameters
    ----------
    runs
        All runs of the report, in the order of their colours.
    quantity
        One of `QUANTITIES`.
    """
    label = QUANTITIES[quantity]
    networks, baselines = by_index(runs, baselines=False), by_index(runs, baselines=True)
    figure, axes = style.new_figure(f"{label[0].upper()}{label[1:]} by epoch", "epoch", label, max(2, len(runs)))
    entries = _draw_epochs(axes, networks, quantity)
    entries |= _draw_levels(axes, baselines, quantity)
    _finish(figure, {index: runs[index].name for index in entries}, entries)
    return figure


def _draw_levels(axes: Axes, baselines: Mapping[int, Run], quantity: str) -> dict[int, Line2D]:
    """Draw the last validation value of each baseline that is near what is drawn, and return the lines."""
    low, high = axes.get_ylim()
    room = (high - low) / 4
    levels = {index: run.history[f"validation_{quantity}"][-1] for index, run in baselines.items()}
    lines = {}
    for index, level in levels.items():
        if low - room <= level <= high + room:
            colour = style.run_colour(index)
            lines[index] = axes.axhline(level, color=colour, linewidth=1.2, linestyle=LEVEL_DASHES)
            series.mark(series.of_run(index), lines[index], part="value")
    return lines


@style.styled
def draw_baselines(runs: Sequence[Run]) -> Figure:
    """Draw loss, accuracy and AUC of the baselines that were trained in steps, side by side.

    Parameters
    ----------
    runs
        All runs of the report, in the order of their colours.
    """
    shown = {index: run for index, run in by_index(runs, baselines=True).items() if run.history["epoch"].size > 1}
    figure = Figure(figsize=(PANEL * len(QUANTITIES), style.HEIGHT + style.ROW * max(2, len(shown))))
    entries: dict[int, Line2D] = {}
    for number, (quantity, label) in enumerate(QUANTITIES.items(), start=1):
        axes = figure.add_subplot(1, len(QUANTITIES), number)
        axes.set(title=f"{label[0].upper()}{label[1:]} by iteration", xlabel="iteration", ylabel=label)
        entries = _draw_epochs(axes, shown, quantity)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    _finish(figure, {index: run.name for index, run in shown.items()}, entries)
    return figure


def _draw_epochs(axes: Axes, runs: Mapping[int, Run], quantity: str) -> dict[int, Line2D]:
    """Draw both splits of each run, and return an entry of the legend for each."""
    entries = {}
    for index, run in runs.items():
        epochs, of_run = run.history["epoch"], series.of_run(index)
        marked = epochs.size <= MOST_MARKERS
        look: dict[str, Any] = {"color": style.run_colour(index), "markersize": MARKER_SIZE}
        look["marker"] = style.run_marker(index) if marked else ""
        (train,) = axes.plot(
            epochs, run.history[f"train_{quantity}"], linestyle=TRAIN_DASHES, linewidth=1.2, fillstyle="none", **look
        )
        (validation,) = axes.plot(epochs, run.history[f"validation_{quantity}"], **look)
        series.mark(of_run, train)
        series.mark(of_run, validation, part="value")
        entries[index] = Line2D([], [], **look)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return entries


def _finish(figure: Figure, names: Mapping[int, str], entries: Mapping[int, Line2D]) -> None:
    """Add the legends: runs on the left, splits on the right."""
    series.legend(
        figure,
        {names[index]: entry for index, entry in entries.items()},
        [series.of_run(index) for index in entries],
        length=34,
    )
    lines = {
        "validation": Line2D([], [], color=style.MUTED),
        "train": Line2D([], [], color=style.MUTED, linestyle=TRAIN_DASHES, linewidth=1.2),
    }
    style.legend(figure, lines, side="right")


@style.styled
def draw_learning_rate(runs: Sequence[Run]) -> Figure:
    """Draw the learning rate at the end of each epoch, for the networks.

    Parameters
    ----------
    runs
        All runs of the report, in the order of their colours.
    """
    networks = by_index(runs, baselines=False)
    figure, axes = style.new_figure("Learning rate by epoch", "epoch", "learning rate", len(networks))
    entries = {}
    for index, run in networks.items():
        rate = run.history["learning_rate"]
        marker = style.run_marker(index) if rate.size <= MOST_MARKERS else ""
        look = style.run_line(index) | {"marker": marker, "markersize": MARKER_SIZE}
        (entries[run.name],) = axes.plot(run.history["epoch"], rate, **look)
        series.mark(series.of_run(index), entries[run.name], part="value")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylim(bottom=0)
    series.legend(figure, entries, [series.of_run(index) for index in networks])
    return figure


@style.styled
def draw_auc_by_time(runs: Sequence[Run]) -> Figure:
    """Draw the validation AUC after each epoch against the training time, as measured on each run's machine.

    Each curve has the run's name at its end. Baselines are level lines as in `draw_history`.

    Parameters
    ----------
    runs
        All runs of the report, in the order of their colours; networks without times are left out.
    """
    figure, axes = style.new_figure(
        "AUC by training time", "seconds of training", "validation ROC AUC", max(0, len(runs) - 8)
    )
    ends = {}
    for index, run in by_index(runs, baselines=False).items():
        seconds, auc = run.history["seconds"].cumsum(), run.history["validation_auc"]
        if np.isnan(seconds[-1]):
            continue
        marker = style.run_marker(index) if seconds.size <= MOST_MARKERS else ""
        (line,) = axes.plot(seconds, auc, **style.run_line(index), marker=marker, markersize=2.5)
        series.mark(series.of_run(index), line, part="value")
        ends[run.name] = (float(seconds[-1]), float(auc[-1]), style.run_colour(index))
    axes.set_xscale("log")
    for index in _draw_levels(axes, by_index(runs, baselines=True), "auc"):
        level = float(runs[index].history["validation_auc"][-1])
        ends[runs[index].name] = (axes.get_xlim()[1], level, style.run_colour(index))
    left, right = axes.get_xlim()
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 3) if right > 10 * left else (1, 2, 5)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    style.label_ends(axes, ends)
    return figure
