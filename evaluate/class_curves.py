"""Figures of runs with more than two classes: confusion matrix, calibration, AUC by class, scores."""

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator

from evaluate import metrics, scored, series, style
from evaluate.curves import draw_bins
from evaluate.results import ClassifierResults
from evaluate.runs import Classifier
from store.arrays import BoolArray, Float64Array

MOST_CURVES = 10
"""Classes that a figure shows as curves; of more classes, those with the lowest AUC are shown."""

MOST_ROWS = 30
"""Classes that a figure shows as rows; of more classes, those with the lowest AUC are shown."""

MOST_TEXTS = 10  # classes of a confusion matrix whose cells are large enough for numbers
MOST_COUNTS = 6
LONGEST_NAMES = 30  # characters of names that fit side by side below the axes
MOST_NAMES = 60  # classes of a confusion matrix that are named
MOST_HISTOGRAMS = 5
BINS = 20  # of a probability
DEEPEST = 0.6  # opacity of a share of 1, through which text can still be read


def hardest_classes(results: ClassifierResults, most: int = MOST_CURVES) -> list[int]:
    """Return the classes to show, ascending: all, or the `most` classes with the lowest test AUC against the rest."""
    aucs = [part.auc.value if part.auc else np.inf for part in results.splits.test.by_class or []]
    return sorted(np.argsort(aucs, kind="stable")[:most].tolist())


@style.styled
def draw_confusion(results: ClassifierResults) -> Figure:
    """Draw the confusion matrix of the test split: what is done with the samples of each true class.

    Up to 10 classes have the share of the true class in each cell, and up to 6 also the number of samples.
    """
    classes, details = results.classes or [], results.splits.test.details
    if not details:
        raise ValueError(f"{results.name} has no confusion matrix")
    share = np.array(details.confusion.share.value, dtype=float)
    count = len(classes)
    width, height = style.WIDTH, style.HEIGHT + style.ROW * min(count, MOST_CURVES)
    if count > MOST_TEXTS:
        side = 0.2 * min(count, MOST_NAMES)
        width, height = max(width, 1.6 + side), max(height, 1.2 + side)
    figure = Figure(figsize=(width, height))
    axes = figure.add_subplot()
    colours = np.zeros((count, count, 4))
    colours[..., :3] = to_rgb(style.RUN_COLOURS[0])
    colours[..., 3] = DEEPEST * np.nan_to_num(share)
    axes.imshow(colours, interpolation="none", aspect="auto")
    axes.set_title(f"Confusion matrix of {style.shorten(results.name, 26)}")
    axes.set(xlabel="most probable class", ylabel="true class")
    axes.grid(visible=False)
    if count <= MOST_NAMES:
        names = [style.shorten(name, 14) for name in classes]
        flat = len("".join(names)) <= LONGEST_NAMES
        axes.set_xticks(range(count), names, rotation=0 if flat else 45, ha="center" if flat else "right")
        axes.set_yticks(range(count), names)
        axes.tick_params(labelsize=8 if count <= MOST_TEXTS else 7, length=0)
    if count <= MOST_TEXTS:
        for (row, column), value in np.ndenumerate(share):
            text = (
                "none" if np.isnan(value) else f"{100 * value:.1f} %" if count <= MOST_COUNTS else f"{100 * value:.0f}"
            )
            if count <= MOST_COUNTS:
                text += f"\n{details.confusion.samples[row][column]:,}"
            axes.text(column, row, text, ha="center", va="center", fontsize=8)
    return figure


@style.styled
def draw_confidence(runs: Sequence[ClassifierResults]) -> Figure:
    """Draw the accuracy against the largest probability in bins of it, on the test split, with binomial errors."""
    figure, axes = style.new_figure("Calibration", "mean largest probability", "accuracy", len(runs))
    texts, bins = [], []
    for run in runs:
        test = run.splits.test
        if test.details:
            curve = test.details.confidence
            texts.append(f"{run.name}: expected error {test.expected_calibration_error:.4f}")
            bins.append((curve.mean_probability, curve.accuracy, curve.standard_error))
    draw_bins(figure, axes, texts, bins)
    return figure


@style.styled
def draw_auc_by_class(runs: Sequence[ClassifierResults]) -> Figure:
    """Draw the test AUC of each class against the rest, with standard errors, for all runs side by side."""
    shown, names = hardest_classes(runs[0], MOST_ROWS), runs[0].classes or []
    figure, axes = style.new_figure("AUC by class", "test AUC against the rest", "", len(runs))
    figure.set_figheight(max(figure.get_figheight(), 0.9 + style.ROW * (len(shown) + len(runs))))
    entries = {}
    for index, run in enumerate(runs):
        shift = 0.5 * ((index + 0.5) / len(runs) - 0.5)
        aucs = {row: auc for row, label in enumerate(shown) if (auc := (run.splits.test.by_class or [])[label].auc)}
        entries[run.name] = axes.errorbar(
            [auc.value for auc in aucs.values()],
            [row + shift for row in aucs],
            xerr=[auc.standard_error for auc in aucs.values()],
            color=style.run_colour(index),
            linestyle="",
            marker=style.run_marker(index),
            markersize=3.5,
        )
        series.mark(series.of_run(index), entries[run.name])
    axes.set_yticks(range(len(shown)), [style.shorten(names[label], 20) for label in shown])
    axes.set_ylim(len(shown) - 0.5, -0.5)
    series.legend(figure, entries, [series.of_run(index) for index in range(len(runs))])
    return figure


@style.styled
def draw_scores(run: Classifier, label: int, colour: int) -> Figure:
    """Draw the distribution of a run's probability of one class, by true class: test as lines, train as points.

    Each true class and split is normalised to unit area; error bars are Poisson errors. With more than 5 classes, the
    other classes are one distribution.

    Parameters
    ----------
    run
        A run with more than two classes.
    label
        The class.
    colour
        Index of its colour.
    """
    classes = run.spec.classes
    parts = {name: (number, [number]) for number, name in enumerate(classes)}
    if len(classes) > MOST_HISTOGRAMS:
        rest = [number for number in range(len(classes)) if number != label]
        parts = {classes[label]: (colour, [label]), "other classes": (-1, rest)}
    title = f"{style.shorten(run.name, 24)}: {style.shorten(classes[label], 30)}"
    name = style.shorten(classes[label], 40)
    figure, axes = style.new_figure(title, f"probability of {name}", "density", len(parts))
    edges = np.linspace(0, 1, BINS + 1)
    test, train, lowest = {}, {}, []
    for text, (index, members) in parts.items():
        look = {"color": style.MUTED} if index < 0 else {"color": style.class_line(index)["color"]}
        of_class = series.of_class(members[0]) if len(members) == 1 else series.OTHERS
        drawn = _density(run, "test", label, members)
        if drawn:
            lowest.append(drawn[0][drawn[0] > 0].min())
            if label in members:
                filled = axes.stairs(drawn[0], edges, fill=True, alpha=0.25, linewidth=0, **look)
                series.mark(of_class, filled)
            test[of_class] = axes.stairs(drawn[0], edges, linewidth=1.4, label=f"{text}, test", **look)
            series.mark(of_class, test[of_class], part="value")
        drawn = _density(run, "train", label, members)
        if drawn:
            train[of_class] = axes.errorbar(
                (edges[:-1] + edges[1:]) / 2,
                *drawn,
                fmt="o",
                markersize=2.4,
                elinewidth=0.8,
                label=f"{text}, train",
                **look,
            )
            series.mark(of_class, train[of_class])
    axes.set(xlim=(0, 1), yscale="log")
    axes.set_ylim(bottom=min(lowest, default=1.0) / 2)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axes.yaxis.set_minor_locator(NullLocator())
    for drawn_parts, side in ((test, "left"), (train, "right")):
        entries = {str(part.get_label()): part for part in drawn_parts.values()}
        series.legend(figure, entries, list(drawn_parts), side=side, length=24)
    return figure


def _density(
    run: Classifier, split: str, label: int, members: Sequence[int]
) -> tuple[Float64Array, Float64Array] | None:
    """Return the histogram of a probability over true classes, normalised to unit area, and its Poisson errors.

    None if there is no sample of these classes.
    """
    predictions = run.predictions[split]
    inside: BoolArray = np.isin(predictions.label, members)
    if predictions.weight is not None:
        inside &= predictions.weight > 0
    if np.count_nonzero(inside) < 2:
        return None
    weight = None if predictions.weight is None else predictions.weight[inside]
    of_classes = scored.checked(inside[inside], predictions.score[inside, label].clip(0, 1), weight)
    weights, squares = metrics.histogram(of_classes, BINS)
    scale = BINS / weights[:, 1].sum()
    return weights[:, 1] * scale, np.sqrt(squares[:, 1]) * scale
