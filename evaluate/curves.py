"""Figures of runs: their training history, and how well they separate the classes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator
from numpy.typing import ArrayLike

from evaluate import metrics, ranking, style
from evaluate.measure import SCORE_BINS
from evaluate.results import Slice
from evaluate.runs import Classifier, Run
from store.arrays import Float64Array

QUANTITIES = {"loss": "loss", "accuracy": "accuracy", "auc": "ROC AUC"}
MOST_COMMON = 1e-4
"""Range of an observable, relative to its size, below which an axis counts from the lowest value."""
SLICED = {"auc": "AUC", "accuracy": "accuracy"}
SPLIT_LINES: dict[str, dict[str, Any]] = {
    "validation": {"linestyle": "-", "markersize": 3.5},
    "train": {"linestyle": (0, (2, 1.5)), "linewidth": 1.2, "markersize": 3.5, "fillstyle": "none"},
}


@style.styled
def draw_roc(runs: Sequence[Classifier], split: str = "test") -> Figure:
    """Draw the ROC curve of every run: signal efficiency against background efficiency.

    Parameters
    ----------
    runs
        Runs and ensembles in the order of their colours.
    split
        Split whose predictions are shown.
    """
    background, signal = class_names(runs)
    figure, axes = style.new_figure("ROC curve", f"{background} efficiency", f"{signal} efficiency", len(runs))
    axes.axline((0, 0), slope=1, color=style.MUTED, linewidth=0.9, linestyle=(0, (2, 2)))
    entries = {}
    for index, run in enumerate(runs):
        curve = ranking.roc(*run.predictions[split].scored)
        text = f"{run.name}: AUC {curve.auc.value:.4f} ± {curve.auc.standard_error:.4f}"
        (entries[text],) = axes.plot(curve.background, curve.signal, **style.run_line(index))
    axes.set(xlim=(0, 1), ylim=(0, 1))
    style.legend(figure, entries)
    return figure


@style.styled
def draw_rejection(runs: Sequence[Classifier], split: str = "test") -> Figure:
    """Draw background rejection, 1 / background efficiency, against signal efficiency; parameters as `draw_roc`."""
    background, signal = class_names(runs)
    figure, axes = style.new_figure(
        "Background rejection", f"{signal} efficiency", f"{background} rejection", len(runs)
    )
    entries = {}
    for index, run in enumerate(runs):
        curve = ranking.roc(*run.predictions[split].scored)
        passed = curve.background > 0
        points = curve.signal[passed], 1 / curve.background[passed]
        (entries[run.name],) = axes.plot(*points, **style.run_line(index))
    axes.set(xlim=(0, 1), yscale="log")
    axes.set_ylim(bottom=1)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.yaxis.set_minor_locator(NullLocator())
    style.legend(figure, entries)
    return figure


@style.styled
def draw_precision_recall(runs: Sequence[Classifier], split: str = "test") -> Figure:
    """Draw precision, the fraction of signal among what passes a cut, against recall; parameters as `draw_roc`."""
    signal = class_names(runs)[1]
    figure, axes = style.new_figure("Precision and recall", f"{signal} efficiency (recall)", "precision", len(runs))
    entries = {}
    for index, run in enumerate(runs):
        curve = ranking.roc(*run.predictions[split].scored)
        text = f"{run.name}: average {curve.average_precision:.4f}"
        (entries[text],) = axes.plot(curve.signal[1:], curve.precision[1:], **style.run_line(index))
    axes.set(xlim=(0, 1), ylim=(None, 1))
    style.legend(figure, entries)
    return figure


@style.styled
def draw_sliced(runs: Mapping[int, Classifier], slices: Sequence[Slice], quantity: str = "auc") -> Figure:
    """Draw a test metric in bins of an observable, with standard errors; bins without it are left out.

    Parameters
    ----------
    runs
        The runs and ensembles by their index in the report, which determines their colour.
    slices
        One per run, all of the same observable.
    quantity
        One of `SLICED`.
    """
    name, long_name, units = slices[0].variable, slices[0].long_name, slices[0].units
    origin = _origin(slices)
    axis = f"{long_name} − {origin:.0f}" if origin else long_name  # noqa: RUF001
    axis = axis if units == "1" else f"{axis} ({units})"
    metric = SLICED[quantity]
    title = f"{metric[0].upper()}{metric[1:]} by {name.replace('_', ' ')}"
    figure, axes = style.new_figure(title, axis, f"test {metric}", len(runs))
    entries = {}
    for (index, run), of_run in zip(runs.items(), slices, strict=True):
        bins = [(part, value) for part in of_run.bins if (value := getattr(part, quantity))]
        mean = np.array([part.mean for part, _ in bins]) - origin
        low = np.array([part.low for part, _ in bins]) - origin
        high = np.array([part.high for part, _ in bins]) - origin
        entries[run.name] = axes.errorbar(
            mean,
            [value.value for _, value in bins],
            yerr=[value.standard_error for _, value in bins],
            xerr=[mean - low, high - mean],
            **style.run_line(index) | {"linestyle": ""},
            marker=style.run_marker(index),
            markersize=3.5,
        )
    style.legend(figure, entries)
    return figure


@style.styled
def draw_history(runs: Sequence[Run], quantity: str) -> Figure:
    """Draw a quantity by epoch on the training and the validation split.

    Parameters
    ----------
    runs
        In the order of their colours.
    quantity
        One of `QUANTITIES`.
    """
    label = QUANTITIES[quantity]
    figure, axes = style.new_figure(f"{label[0].upper()}{label[1:]} by epoch", "epoch", label, max(2, len(runs)))
    entries: dict[str, Any] = {}
    for index, run in enumerate(runs):
        look: dict[str, Any] = {"color": style.run_colour(index), "marker": style.run_marker(index)}
        entries[run.name] = Line2D([], [], **look, markersize=3.5)
        for split, line in SPLIT_LINES.items():
            axes.plot(run.history["epoch"], run.history[f"{split}_{quantity}"], **look, **line)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    style.legend(figure, entries, length=34)
    lines = {split: Line2D([], [], color=style.MUTED, marker="o", **line) for split, line in SPLIT_LINES.items()}
    style.legend(figure, lines, side="right")
    return figure


@style.styled
def draw_auc_by_time(runs: Sequence[Run]) -> Figure:
    """Draw the validation AUC after each epoch against the training time, as measured on each run's machine.

    Parameters
    ----------
    runs
        In the order of their colours; runs without times are left out. Each curve has the run's name at its end.
    """
    figure, axes = style.new_figure(
        "AUC by training time", "seconds of training", "validation ROC AUC", max(0, len(runs) - 8)
    )
    ends = {}
    for index, run in enumerate(runs):
        seconds, auc = run.history["seconds"].cumsum(), run.history["validation_auc"]
        if np.isnan(seconds[-1]):
            continue
        axes.plot(seconds, auc, **style.run_line(index), marker=style.run_marker(index), markersize=2.5)
        ends[run.name] = (float(seconds[-1]), float(auc[-1]), style.run_colour(index))
    axes.set_xscale("log")
    left, right = axes.get_xlim()
    axes.xaxis.set_major_locator(LogLocator(subs=(1,) if right > 100 * left else (1, 2, 5)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    style.label_ends(axes, ends)
    return figure


@style.styled
def draw_scores(run: Classifier) -> Figure:
    """Draw the distribution of a run's scores by class: the test split filled, the training split as points.

    Each class and split is normalised to unit area; error bars are Poisson errors.
    """
    figure, axes = style.new_figure(f"Scores of {style.shorten(run.name, 36)}", "score", "density", 2)
    edges = np.linspace(0, 1, SCORE_BINS + 1)
    centres = (edges[:-1] + edges[1:]) / 2
    test, train = {}, {}
    for value, name in enumerate(run.spec.classes):
        colour = style.CLASS_COLOURS[value]
        density, _ = _density(run, "test", value)
        axes.stairs(density, edges, fill=True, color=colour, alpha=0.3, linewidth=0)
        test[f"{name}, test"] = axes.stairs(density, edges, color=colour, linewidth=1.4)
        density, error = _density(run, "train", value)
        train[f"{name}, train"] = axes.errorbar(
            centres, density, error, fmt="o", color=colour, markersize=2.4, elinewidth=0.8
        )
    axes.set_xlim(0, 1)
    axes.set_ylim(bottom=0)
    style.legend(figure, test)
    style.legend(figure, train, side="right")
    return figure


@style.styled
def draw_calibration(runs: Sequence[Classifier], split: str = "test") -> Figure:
    """Draw the fraction of signal against the mean score in bins, with binomial errors; parameters as `draw_roc`."""
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
    axes.set(xlim=(0, 1), ylim=(0, 1))
    style.legend(figure, entries)


def _origin(slices: Sequence[Slice]) -> float:
    """Return what an axis of an observable counts from: its lowest value if all digits of ticks would be the same."""
    bins = [part for of_run in slices for part in of_run.bins]
    low, high = min((part.low for part in bins), default=0.0), max((part.high for part in bins), default=0.0)
    return low if high - low < MOST_COMMON * max(abs(low), abs(high)) and low.is_integer() else 0.0


def class_names(runs: Sequence[Classifier]) -> tuple[str, str]:
    """Return the names of background and signal: the classes of the runs if all runs have the same ones."""
    names = {(run.spec.classes[0], run.spec.classes[1]) for run in runs}
    return names.pop() if len(names) == 1 else ("background", "signal")


def _density(run: Classifier, split: str, value: int) -> tuple[Float64Array, Float64Array]:
    """Return the histogram of one class, normalised to unit area, and its Poisson errors."""
    weights, squares = metrics.histogram(metrics.checked(*run.predictions[split].scored), SCORE_BINS)
    scale = SCORE_BINS / weights[:, value].sum()
    return weights[:, value] * scale, np.sqrt(squares[:, value]) * scale
