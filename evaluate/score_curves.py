"""Figures of the distribution of scores by class."""

import numpy as np
from matplotlib.figure import Figure

from evaluate import metrics, scored, series, style
from evaluate.measure import SCORE_BINS
from evaluate.runs import Classifier
from store.arrays import Float64Array


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
        colour, of_class = style.CLASS_COLOURS[value], series.of_class(value)
        density, _ = _density(run, "test", value)
        filled = axes.stairs(density, edges, fill=True, color=colour, alpha=0.3, linewidth=0)
        test[f"{name}, test"] = outline = axes.stairs(density, edges, color=colour, linewidth=1.4)
        density, error = _density(run, "train", value)
        train[f"{name}, train"] = points = axes.errorbar(
            centres, density, error, fmt="o", color=colour, markersize=2.4, elinewidth=0.8
        )
        series.mark(of_class, filled, points)
        series.mark(of_class, outline, part="value")
    axes.set_xlim(0, 1)
    axes.set_ylim(bottom=0)
    classes = [series.of_class(value) for value in range(len(run.spec.classes))]
    series.legend(figure, test, classes)
    series.legend(figure, train, classes, side="right")
    return figure


def _density(run: Classifier, split: str, value: int) -> tuple[Float64Array, Float64Array]:
    """Return the histogram of one class, normalised to unit area, and its Poisson errors."""
    weights, squares = metrics.histogram(scored.checked(*run.predictions[split].scored), SCORE_BINS)
    scale = SCORE_BINS / weights[:, value].sum()
    return weights[:, value] * scale, np.sqrt(squares[:, value]) * scale
