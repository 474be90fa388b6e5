"""Figures of how well runs with more than two classes separate each class from the rest."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from evaluate import band_curves, series, style
from evaluate.band_curves import Curve
from evaluate.bands import CurveBands, measure_bands
from evaluate.class_curves import MOST_CURVES, hardest_classes
from evaluate.results import ClassifierResults
from evaluate.runs import Classifier
from store.predictions import Predictions


@style.styled
def draw_roc(run: Classifier, results: ClassifierResults, bands: Mapping[int, CurveBands], first: str = "") -> Figure:
    """Draw the test ROC curve of each class: its efficiency against the efficiency of all other classes.

    Parameters
    ----------
    run, results
        A run, and its numbers.
    bands
        Curves of the classes to show, as `measure_class_bands` returns them.
    first
        Name of the run that ratios are to.
    """
    by_class = results.splits.test.by_class or []
    aucs = {label: auc for label in bands if (auc := by_class[label].auc)}
    texts = {label: f": AUC {auc.value:.4f} ± {auc.standard_error:.4f}" for label, auc in aucs.items()}
    titles = (
        f"One class against the rest, {style.shorten(results.name, 22)}",
        "efficiency of the other classes",
        "efficiency of the class",
    )
    return band_curves.draw_rocs(titles, _curves(run, bands, texts), first)


@style.styled
def draw_rejection(
    run: Classifier, results: ClassifierResults, bands: Mapping[int, CurveBands], first: str = ""
) -> Figure:
    """Draw the rejection of all other classes, 1 / their efficiency, against the efficiency of each class.

    Parameters as `draw_roc`.
    """
    titles = (
        f"Rejection of the rest, {style.shorten(results.name, 30)}",
        "efficiency of the class",
        "rejection of the other classes",
    )
    return band_curves.draw_rejections(titles, _curves(run, bands, {}), first)


def measure_class_bands(
    runs: Sequence[Classifier], results: Sequence[ClassifierResults]
) -> list[dict[int, CurveBands]]:
    """Return for each run the test curves of each class to show that has an AUC, against the rest.

    Ratios are to the first run.
    """
    bands: list[dict[int, CurveBands]] = []
    for run, of_run in zip(runs, results, strict=True):
        by_class = of_run.splits.test.by_class or []
        pair = [runs[0], run] if bands else [run]
        bands.append(
            {
                label: measure_bands([one_against_rest(one, label) for one in pair])[-1]
                for label in hardest_classes(of_run)
                if by_class[label].auc
            }
        )
    return bands


def one_against_rest(run: Classifier, label: int) -> Predictions:
    """Return the test predictions of a run as those of two classes: one class, and all others."""
    test = run.predictions["test"]
    belongs = (test.label == label).astype(np.uint8)
    return Predictions(sample=test.sample, label=belongs, score=test.score[:, label], weight=test.weight)


def _curves(run: Classifier, bands: Mapping[int, CurveBands], texts: Mapping[int, str]) -> list[Curve]:
    """Return the curves of classes; texts follow their names in the legend."""
    names, few = run.spec.classes, len(run.spec.classes) <= MOST_CURVES
    return [
        Curve(
            text=f"{names[label]}{texts.get(label, '')}",
            series=series.of_class(label),
            line=style.class_line(label if few else rank),
            bands=of_class,
        )
        for rank, (label, of_class) in enumerate(bands.items())
    ]
