"""Figures of a report that need only runs, with captions and descriptions for screen readers."""

import itertools
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from evaluate import class_figures, curves, history_curves, showers, style
from evaluate.bands import BAND_NOTE, measure_bands
from evaluate.document import MetricsDocument
from evaluate.drawing import Drawing
from evaluate.ensemble import Ensemble
from evaluate.parts import Measurement
from evaluate.results import OcclusionMaps, SplitMetrics
from evaluate.runs import Classifier, Run
from evaluate.score_curves import draw_scores
from evaluate.seed_figures import draw_seeds
from evaluate.showers import MOST_CLASSES

HISTORY_NOTES = {
    "loss": "Mean binary cross-entropy. Training curves are recorded while the weights change, with dropout.",
    "accuracy": "Fraction of samples on the correct side of a score of 0.5. Training curves are recorded with dropout.",
    "auc": "Area under the ROC curve. Training curves are recorded with dropout.",
}
CLASSES_NOTES = {
    "loss": "Mean cross-entropy. Training curves are recorded while the weights change, with dropout.",
    "accuracy": "Fraction of samples whose most probable class is the true one. Training curves are recorded with "
    "dropout.",
    "auc": "Area under the ROC curve, each class against the rest, mean over the classes. Training curves are recorded "
    "with dropout.",
}


def draw_runs(runs: Sequence[Run], document: MetricsDocument, ensembles: Sequence[Ensemble] = ()) -> list[Drawing]:
    """Return the figures that need only the runs, the ensembles of the document, and their metrics."""
    classifiers: list[Classifier] = [*runs, *ensembles]
    if len(runs[0].spec.classes) == 2:
        notes, separation = HISTORY_NOTES, _draw_separation(classifiers, document)
        scores = [_draw_scores(classifier, number) for number, classifier in enumerate(classifiers, start=1)]
    else:
        notes, separation = CLASSES_NOTES, class_figures.draw_separation(classifiers, document.classifiers)
        parts = map(class_figures.draw_scores, classifiers, document.classifiers, itertools.count(1))
        scores = [*itertools.chain.from_iterable(parts)]
    return [
        *separation,
        *_draw_trainings(runs, notes),
        *draw_seeds(document),
        *scores,
        *itertools.chain.from_iterable(
            _draw_occlusion(run, of_run.occlusion, number)
            for number, (run, of_run) in enumerate(zip(runs, document.runs, strict=True), start=1)
        ),
    ]


def _draw_separation(runs: Sequence[Classifier], document: MetricsDocument) -> list[Drawing]:
    background, signal = curves.class_names(runs)
    bands = measure_bands([run.predictions["test"] for run in runs])
    ratio = f" Below: the ratio to {runs[0].name}." if any(of_run.signal_ratio for of_run in bands) else ""
    aucs = _for_each_run(document, lambda test: _show(test.auc, "none", ".4f"))
    rejections = _for_each_run(document, lambda test: _show((test.background_rejection or {}).get("0.5"), "∞"))
    precisions = _for_each_run(document, lambda test: f"{test.average_precision or 0:.4f}")
    errors = _for_each_run(document, lambda test: f"{test.expected_calibration_error:.4f}")
    return [
        Drawing(
            name="roc",
            section="separation",
            alt=f"ROC curves on the test split. AUC: {aucs}.",
            caption=f"Test split, with the AUC and its standard error. {BAND_NOTE}{ratio} The dotted line is a random "
            "guess.",
            figure=curves.draw_roc(runs, bands),
        ),
        Drawing(
            name="rejection",
            section="separation",
            alt="Background rejection against signal efficiency on the test split. At a signal efficiency of 0.5: "
            f"{rejections}.",
            caption=f"Test split. A rejection of 10 means that one in 10 {background}s passes the cut. "
            f"{BAND_NOTE}{ratio}",
            figure=curves.draw_rejection(runs, bands),
        ),
        Drawing(
            name="precision",
            section="separation",
            alt=f"Precision against recall on the test split. Average precision: {precisions}.",
            caption=f"Test split. Precision is the fraction of {signal}s among the samples that pass a cut.",
            figure=curves.draw_precision_recall(runs),
        ),
        Drawing(
            name="calibration",
            section="separation",
            alt=f"Fraction of {signal}s against mean score on the test split. Expected calibration error: {errors}.",
            caption="Test split, 15 bins of equal width. On the dotted line the score is a true probability.",
            figure=curves.draw_calibration(runs),
        ),
    ]


def _for_each_run(document: MetricsDocument, describe: Callable[[SplitMetrics], str]) -> str:
    """Return a description of the test metrics of every run and ensemble."""
    return "; ".join(f"{run.name} {describe(run.splits.test)}" for run in document.classifiers)


def _show(measurement: Measurement | None, missing: str, digits: str = ".3g") -> str:
    """Return a value as text, or `missing` if there is none."""
    return f"{measurement.value:{digits}}" if measurement else missing


def _draw_trainings(runs: Sequence[Run], notes: Mapping[str, str]) -> list[Drawing]:
    """Return figures by epoch of the networks, AUC by time, and figures by iteration of the baselines."""
    networks, baselines = (history_curves.by_index(runs, baselines=kind).values() for kind in (False, True))
    drawings = [_draw_history(runs, [*networks], quantity, note) for quantity, note in notes.items() if networks]
    if networks:
        rates = "; ".join(f"{run.name} {run.history['learning_rate'][-1]:.3g}" for run in networks)
        drawings.append(
            Drawing(
                name="learning-rate",
                section="training",
                alt=f"Learning rate by epoch. At the end: {rates}.",
                caption="At the end of each epoch.",
                figure=history_curves.draw_learning_rate(runs),
            )
        )
    drawings += _draw_times(runs, [*networks])
    if any(run.history["epoch"].size > 1 for run in baselines):
        names = ", ".join(run.name for run in baselines)
        drawings.append(
            Drawing(
                name="baselines",
                section="training",
                alt=f"Loss, accuracy and AUC by iteration on the training and the validation split, for {names}.",
                caption="Baselines have panels of their own: an iteration, such as a tree that is added, is no epoch.",
                figure=history_curves.draw_baselines(runs),
            )
        )
    return drawings


def _draw_history(runs: Sequence[Run], networks: Sequence[Run], quantity: str, note: str) -> Drawing:
    last = "; ".join(f"{run.name} {run.history[f'validation_{quantity}'][-1]:.4f}" for run in networks)
    label = history_curves.QUANTITIES[quantity]
    return Drawing(
        name=f"history-{quantity}",
        section="training",
        alt=f"{label[0].upper()}{label[1:]} by epoch, training and validation. Validation after the last epoch: "
        f"{last}.",
        caption=note + _note_levels(runs, networks),
        figure=history_curves.draw_history(runs, quantity),
    )


def _draw_times(runs: Sequence[Run], networks: Sequence[Run]) -> list[Drawing]:
    seconds = {run.name: run.history["seconds"].sum() for run in networks}
    ends = [
        f"{run.name} {run.history['validation_auc'][-1]:.4f} after {seconds[run.name]:,.0f} s"
        for run in networks
        if np.isfinite(seconds[run.name])
    ]
    if not ends:
        return []
    return [
        Drawing(
            name="auc-by-time",
            section="training",
            alt=f"Validation AUC by training time. At the end: {'; '.join(ends)}.",
            caption="After each epoch. Times can be compared only between runs on the same machine."
            f"{_note_levels(runs, networks)}",
            figure=history_curves.draw_auc_by_time(runs),
        )
    ]


def _note_levels(runs: Sequence[Run], networks: Sequence[Run]) -> str:
    """Return what a level line is, if runs have baselines, for the end of a caption."""
    return " A level line is the last value of a baseline, if it is near." if len(networks) < len(runs) else ""


def _draw_scores(run: Classifier, run_number: int) -> Drawing:
    background, signal = run.spec.classes
    return Drawing(
        name=f"scores-{run_number}",
        section="scores",
        alt=f"Score distributions of {run.name} for {background}s and {signal}s.",
        caption="Each class has unit area. Points well away from the filled histogram are a sign of overfitting.",
        figure=draw_scores(run),
    )


def _draw_occlusion(run: Run, maps: OcclusionMaps | None, run_number: int) -> list[Drawing]:
    if maps is None:
        return []
    of_classes = maps.by_class or [maps.background or None, maps.signal or None]
    changes = {label: np.array(change) for label, change in enumerate(of_classes) if change}
    if len(changes) < 2:
        return []
    rows, columns = next(iter(changes.values())).shape
    pair = len(of_classes) == 2
    score = "score" if pair else "probability of the true class"
    samples = [f"{name}s" if pair else f"samples of {name}" for name in run.spec.classes]
    return [
        Drawing(
            name=f"occlusion-{run_number}-{style.as_identifier(name)}",
            section="occlusion",
            alt=f"Change of the score of {run.name} for {samples[label]} when a patch is hidden, at most "
            f"{changes[label].max():.3f}.",
            caption=f"Mean absolute change of the {score} when one of {rows} x {columns} patches is set to zero, over "
            f"the {samples[label]} among {maps.samples} test samples.",
            figure=showers.draw_occlusion(changes, run.spec, label, run.name),
        )
        for label, name in list(enumerate(run.spec.classes))[:MOST_CLASSES]
        if label in changes
    ]
