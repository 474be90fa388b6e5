"""Figures of a report on more than two classes, with captions and descriptions for screen readers."""

from collections.abc import Mapping, Sequence

from evaluate import class_band_curves, class_curves
from evaluate.bands import BAND_NOTE, CurveBands
from evaluate.class_curves import MOST_COUNTS, MOST_CURVES, MOST_ROWS, MOST_TEXTS, hardest_classes
from evaluate.drawing import Drawing
from evaluate.results import ClassifierResults
from evaluate.runs import Classifier


def draw_separation(classifiers: Sequence[Classifier], runs: Sequence[ClassifierResults]) -> list[Drawing]:
    """Return the figures that say how well the runs separate the classes; `runs` are the numbers of `classifiers`."""
    drawings = []
    bands = class_band_curves.measure_class_bands(classifiers, runs)
    for number, (classifier, run, of_run) in enumerate(zip(classifiers, runs, bands, strict=True), start=1):
        drawings.append(_draw_confusion(run, number))
        if of_run:
            drawings += _draw_curves(classifier, run, number, of_run, runs[0].name)
    errors = "; ".join(f"{run.name} {run.splits.test.expected_calibration_error:.4f}" for run in runs)
    calibration = Drawing(
        name="calibration",
        section="separation",
        alt=f"Accuracy against mean largest probability on the test split. Expected calibration error: {errors}.",
        caption="Test split, 15 bins of equal width. On the dotted line the largest probability is the accuracy.",
        figure=class_curves.draw_confidence(runs),
    )
    return [*drawings, calibration, *_draw_auc_by_class(runs)]


def draw_scores(run: Classifier, results: ClassifierResults, run_number: int) -> list[Drawing]:
    """Return the distributions of a run's probabilities, one figure per class."""
    shown = hardest_classes(results)
    note = "Test split as lines, training split as points; each true class has unit area."
    few = len(shown) == len(run.spec.classes)
    return [
        Drawing(
            name=f"scores-{run_number}-{label}",
            section="scores",
            alt=f"Distributions of the probability that {run.name} gives to {run.spec.classes[label]}, by true class.",
            caption=f"{note} {_describe_choice(run.spec.classes, MOST_CURVES)}".strip(),
            figure=class_curves.draw_scores(run, label, label if few else rank),
        )
        for rank, label in enumerate(shown)
    ]


def _draw_confusion(run: ClassifierResults, number: int) -> Drawing:
    classes, test = run.classes or [], run.splits.test
    recalls = "; ".join(
        f"{name} {part.recall.value:.3f}" if part.recall else f"{name} none"
        for name, part in zip(classes, test.by_class or [], strict=True)
    )
    return Drawing(
        name=f"confusion-{number}",
        section="separation",
        alt=f"Confusion matrix of {run.name} on the test split. Fraction of each class that is recognised: {recalls}.",
        caption=f"Test split. Each row is a true class, with the share of it that is taken for the class of the column"
        f"{_describe_cells(len(classes))}.",
        figure=class_curves.draw_confusion(run),
    )


def _describe_cells(classes: int) -> str:
    """Return how the cells of a confusion matrix show their share."""
    if classes <= MOST_COUNTS:
        return ", and the number of samples"
    return ", in percent" if classes <= MOST_TEXTS else ": the stronger the colour, the larger it is"


def _draw_curves(
    classifier: Classifier, run: ClassifierResults, number: int, bands: Mapping[int, CurveBands], first: str
) -> list[Drawing]:
    classes, by_class = run.classes or [], run.splits.test.by_class or []
    aucs = "; ".join(f"{classes[label]} {auc.value:.4f}" for label in bands if (auc := by_class[label].auc))
    ratio = f" Below: the ratio to {first}." if any(of_class.signal_ratio for of_class in bands.values()) else ""
    note = f"{BAND_NOTE}{ratio} {_describe_choice(classes, MOST_CURVES)}".strip()
    return [
        Drawing(
            name=f"roc-{number}",
            section="separation",
            alt=f"ROC curves of {run.name} on the test split, each class against the rest. AUC: {aucs}.",
            caption=f"Test split, with the AUC and its standard error. {note}",
            figure=class_band_curves.draw_roc(classifier, run, bands, first),
        ),
        Drawing(
            name=f"rejection-{number}",
            section="separation",
            alt=f"Rejection of all other classes against the efficiency of each class, {run.name}, on the test split.",
            caption=f"Test split. 10 means that one in 10 samples of the other classes passes. {note}",
            figure=class_band_curves.draw_rejection(classifier, run, bands, first),
        ),
    ]


def _draw_auc_by_class(runs: Sequence[ClassifierResults]) -> list[Drawing]:
    """Return the AUC of each class for all runs side by side; a single run has its numbers in the ROC curves."""
    classes = runs[0].classes or []
    if len(runs) < 2 and len(classes) <= MOST_CURVES:
        return []
    return [
        Drawing(
            name="auc-by-class",
            section="separation",
            alt=f"Test AUC of each class against the rest, for {', '.join(run.name for run in runs)}.",
            caption=f"Test split, each class against the rest. {_describe_choice(classes, MOST_ROWS)}".strip(),
            figure=class_curves.draw_auc_by_class(runs),
        )
    ]


def _describe_choice(classes: Sequence[str], most: int) -> str:
    """Return which classes a figure shows, or an empty text if it shows all."""
    return f"The {most} of {len(classes)} classes with the lowest AUC." if len(classes) > most else ""
