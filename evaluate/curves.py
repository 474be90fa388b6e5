"""Figures of how well runs separate two classes, and of how far their scores are probabilities."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from evaluate import band_curves, metrics, ranking, series, style
from evaluate.band_curves import Curve
from evaluate.bands import POINTS, CurveBands, measure_bands
from evaluate.runs import Classifier


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
    background, signal = class_names(runs)
    aucs = [ranking.auc(*run.predictions["test"].scored) for run in runs]
    texts = [f"{run.name}: AUC {auc.value:.4f} ± {auc.standard_error:.4f}" for run, auc in zip(runs, aucs, strict=True)]
    titles = "ROC curve", f"{background} efficiency", f"{signal} efficiency"
    return band_curves.draw_rocs(titles, _curves(runs, texts, bands), runs[0].name)


@style.styled
def draw_rejection(runs: Sequence[Classifier], bands: Sequence[CurveBands] | None = None) -> Figure:
    """Draw background rejection, 1 / background efficiency, against signal efficiency; parameters as `draw_roc`."""
    background, signal = class_names(runs)
    titles = "Background rejection", f"{signal} efficiency", f"{background} rejection"
    return band_curves.draw_rejections(titles, _curves(runs, [run.name for run in runs], bands), runs[0].name)


def _curves(runs: Sequence[Classifier], texts: Sequence[str], bands: Sequence[CurveBands] | None) -> list[Curve]:
    """Return the curves of runs, with the texts of their legend."""
    bands = bands or measure_bands([run.predictions["test"] for run in runs])
    return [
        Curve(text=text, series=series.of_run(index), line=style.run_line(index), bands=of_run)
        for index, (text, of_run) in enumerate(zip(texts, bands, strict=True))
    ]


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
