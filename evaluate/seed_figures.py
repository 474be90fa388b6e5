"""The figure of a report that shows the spread over seeds."""

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from evaluate import style
from evaluate.document import MetricsDocument
from evaluate.drawing import Drawing
from evaluate.formatting import with_error
from evaluate.results import SeedGroup, SeedSpread
from evaluate.seeds import describe_seeds

ROW = 0.32  # inches per group
LONGEST_NAMES = 22


def draw_seeds(document: MetricsDocument) -> list[Drawing]:
    """Return the figure of the test AUCs of runs that differ in the seed alone, if there are any."""
    shown = [(group, spread) for group in document.seeds if (spread := group.splits["test"].auc)]
    if not shown:
        return []
    aucs = {run.name: run.splits.test.auc.value for run in document.runs if run.splits.test.auc}
    values = "; ".join(
        f"{describe_seeds(group)} {with_error(spread.mean, spread.standard_deviation)}" for group, spread in shown
    )
    return [
        Drawing(
            name="auc-by-seed",
            section="seeds",
            alt=f"Test AUCs of runs that differ in the seed alone. Mean and standard deviation: {values}.",
            caption="Test split. Runs on the same samples share the error from the samples.",
            figure=_draw([([aucs[name] for name in group.runs], group, spread) for group, spread in shown]),
        )
    ]


@style.styled
def _draw(rows: Sequence[tuple[Sequence[float], SeedGroup, SeedSpread]]) -> Figure:
    """Draw a row per group: each run as a point, the mean with the standard deviation, the error from the samples."""
    figure, axes = style.new_figure("Test AUC by seed", "test AUC", "", 3)
    figure.set_figheight(1.4 + ROW * len(rows))
    for height, (aucs, _, spread) in enumerate(rows):
        colour = style.run_colour(height)
        axes.errorbar(spread.mean, height, xerr=spread.standard_error, color=style.MUTED, elinewidth=0.8)
        axes.errorbar(
            spread.mean, height, xerr=spread.standard_deviation, color=colour, elinewidth=5, alpha=0.35, capsize=0
        )
        axes.plot(aucs, [height] * len(aucs), "o", color=colour, markersize=4)
    names = [style.shorten(", ".join(group.runs), LONGEST_NAMES) for _, group, _ in rows]
    axes.set_yticks(range(len(rows)), names)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.locator_params(axis="x", nbins=5)
    style.legend(
        figure,
        {
            "run": Line2D([], [], color=style.MUTED, linestyle="", marker="o", markersize=4),
            "standard deviation over seeds": Line2D([], [], color=style.MUTED, linewidth=5, alpha=0.35),
            "standard error from the samples": Line2D([], [], color=style.MUTED, linewidth=0.8),
        },
    )
    return figure
