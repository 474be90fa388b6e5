"""The figures of a report that show the spread over seeds."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from evaluate import style
from evaluate.document import MetricsDocument
from evaluate.drawing import Drawing
from evaluate.formatting import with_error
from evaluate.results import SeedGroup, SeedSpread
from evaluate.seeds import describe_seeds
from store.arrays import Float64Array

ROW = 0.32  # inches per group
LONGEST_NAMES = 22
SHADE = 0.25  # opacity of the spread


def draw_seeds(document: MetricsDocument) -> list[Drawing]:
    """Return figures of test AUC, and of validation AUC by epoch, of runs that differ in the seed alone, if any do."""
    shown = [(group, spread) for group in document.seeds if (spread := group.splits["test"].auc)]
    if not shown:
        return []
    numbers = {run.name: number for number, run in enumerate(document.runs)}
    aucs = {run.name: run.splits.test.auc.value for run in document.runs if run.splits.test.auc}
    values = "; ".join(
        f"{describe_seeds(group)} {with_error(spread.mean, spread.standard_deviation)}" for group, spread in shown
    )
    names = _name([group for group, _ in shown])
    looks = [(name, style.run_line(numbers[group.runs[0]])) for name, (group, _) in zip(names, shown, strict=True)]
    figure = _draw(looks, [([aucs[name] for name in group.runs], spread) for group, spread in shown])
    drawings = [
        Drawing(
            name="auc-by-seed",
            section="seeds",
            alt=f"Test AUCs of runs that differ in the seed alone. Mean and standard deviation: {values}.",
            caption="Test split. Runs on the same samples share the error from the samples.",
            figure=figure,
        )
    ]
    epochs = [_read_epochs(document, group) for group, _ in shown]
    if all(auc.shape[1] > 1 and np.isfinite(auc).all() for auc in epochs):
        last = "; ".join(f"{name} {auc[:, -1].mean():.4f}" for name, auc in zip(names, epochs, strict=True))
        drawings.append(
            Drawing(
                name="auc-by-epoch-and-seed",
                section="seeds",
                alt=f"Mean validation AUC by epoch of runs that differ in the seed alone. At the end: {last}.",
                caption="Validation split: mean over the runs, and their standard deviation as a band.",
                figure=_draw_epochs(looks, epochs),
            )
        )
    return drawings


def _name(groups: Sequence[SeedGroup]) -> list[str]:
    """Return names of groups: framework and model if these differ, otherwise the names of the runs."""
    names = [f"{group.model}, {group.framework}" for group in groups]
    if len(set(names)) < len(names):
        names = [", ".join(group.runs) for group in groups]
    return [style.shorten(name, LONGEST_NAMES) for name in names]


def _read_epochs(document: MetricsDocument, group: SeedGroup) -> Float64Array:
    """Return the validation AUC of the runs of a group, (run, epoch), for the epochs that all of them have."""
    histories = [run.history["validation_auc"] for run in document.runs if run.name in group.runs]
    count = min(map(len, histories))
    return np.array([history[:count] for history in histories], dtype=float)


@style.styled
def _draw(looks: Sequence[tuple[str, dict[str, Any]]], rows: Sequence[tuple[Sequence[float], SeedSpread]]) -> Figure:
    """Draw a row per group: each run as a point, the mean with the standard deviation, the error from the samples."""
    figure, axes = style.new_figure("Test AUC by seed", "test AUC", "", 3)
    figure.set_figheight(max(figure.get_figheight(), 1.4 + ROW * len(rows)))
    for height, ((_, look), (aucs, spread)) in enumerate(zip(looks, rows, strict=True)):
        colour = look["color"]
        axes.errorbar(spread.mean, height, xerr=spread.standard_error, color=style.MUTED, elinewidth=0.8)
        axes.errorbar(
            spread.mean, height, xerr=spread.standard_deviation, color=colour, elinewidth=7, alpha=0.35, capsize=0
        )
        axes.plot(aucs, [height] * len(aucs), "o", color=colour, markersize=4)
    axes.set_yticks(range(len(rows)), [name for name, _ in looks])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.locator_params(axis="x", nbins=5)
    style.legend(
        figure,
        {
            "run": Line2D([], [], color=style.MUTED, linestyle="", marker="o", markersize=4),
            "standard deviation over seeds": Line2D([], [], color=style.MUTED, linewidth=7, alpha=0.35),
            "standard error from the samples": Line2D([], [], color=style.MUTED, linewidth=0.8),
        },
    )
    return figure


@style.styled
def _draw_epochs(looks: Sequence[tuple[str, dict[str, Any]]], aucs: Sequence[Float64Array]) -> Figure:
    """Draw the mean over seeds by epoch, with a band of one standard deviation, for AUCs (run, epoch) of each group."""
    figure, axes = style.new_figure("AUC by epoch, over seeds", "epoch", "validation ROC AUC", len(looks))
    entries = {}
    for (name, look), auc in zip(looks, aucs, strict=True):
        epoch, mean, deviation = np.arange(1, auc.shape[1] + 1), auc.mean(axis=0), auc.std(axis=0, ddof=1)
        (entries[name],) = axes.plot(epoch, mean, **look)
        axes.fill_between(epoch, mean - deviation, mean + deviation, color=look["color"], alpha=SHADE, linewidth=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    style.legend(figure, entries)
    return figure
