"""Every figure of a report, with its caption and its description for screen readers."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from evaluate import curves, gallery, showers, style
from evaluate.document import (
    GallerySample,
    Measurement,
    MetricsDocument,
    OcclusionMaps,
    RunResults,
    Slice,
    SplitMetrics,
)
from evaluate.runs import Run
from evaluate.stores import ReportStore
from store.datasets import DatasetSpec

if TYPE_CHECKING:
    import xarray

HISTORY_NOTES = {
    "loss": "Mean binary cross-entropy. Training curves are recorded while the weights change, with dropout.",
    "accuracy": "Fraction of samples on the correct side of a score of 0.5. Training curves are recorded with dropout.",
    "auc": "Area under the ROC curve. Training curves are recorded with dropout.",
}
AVERAGES = {"mean": "mean", "RMS": "root mean square"}


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A figure of the report.

    Attributes
    ----------
    name
        Unique name, made of characters that are allowed in file names and ids; the stem of its files.
    section
        Section of the page: ``"separation"``, ``"training"``, ``"scores"``, ``"slices"``, ``"occlusion"``,
        ``"gallery"``, or ``"showers-1"`` for the first store and so on.
    alt
        Description for screen readers.
    caption
        How to read the figure.
    figure
        The figure itself.
    """

    name: str
    section: str
    alt: str
    caption: str
    figure: Figure


def draw_runs(runs: Sequence[Run], document: MetricsDocument) -> list[Drawing]:
    """Return the figures that need only the runs and their metrics."""
    return [
        *_draw_separation(runs, document),
        *(_draw_history(runs, quantity) for quantity in curves.QUANTITIES),
        *_draw_times(runs),
        *(_draw_scores(run, number) for number, run in enumerate(runs, start=1)),
        *itertools.chain.from_iterable(
            _draw_occlusion(run, results.occlusion, number)
            for number, (run, results) in enumerate(zip(runs, document.runs, strict=True), start=1)
        ),
    ]


def _draw_separation(runs: Sequence[Run], document: MetricsDocument) -> list[Drawing]:
    background, signal = curves.class_names(runs)
    aucs = _for_each_run(document, lambda test: f"{test.auc.value:.4f}")
    rejections = _for_each_run(document, lambda test: _show(test.background_rejection["0.5"], "∞"))
    precisions = _for_each_run(document, lambda test: f"{test.average_precision:.4f}")
    errors = _for_each_run(document, lambda test: f"{test.expected_calibration_error:.4f}")
    return [
        Drawing(
            name="roc",
            section="separation",
            alt=f"ROC curves on the test split. AUC: {aucs}.",
            caption="Test split, with the AUC and its standard error. The dotted line is a random guess.",
            figure=curves.draw_roc(runs),
        ),
        Drawing(
            name="rejection",
            section="separation",
            alt="Background rejection against signal efficiency on the test split. At a signal efficiency of 0.5: "
            f"{rejections}.",
            caption=f"Test split. A rejection of 10 means that one in 10 {background}s passes the cut.",
            figure=curves.draw_rejection(runs),
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
    """Return a description of the test metrics of every run."""
    return "; ".join(f"{run.name} {describe(run.splits.test)}" for run in document.runs)


def _show(measurement: Measurement | None, missing: str) -> str:
    """Return a value with three significant digits, or `missing` if there is none."""
    return f"{measurement.value:.3g}" if measurement else missing


def draw_slices(runs: Sequence[Run], document: MetricsDocument, store: ReportStore) -> list[Drawing]:
    """Return the AUC in bins of each observable of a store, for the runs on that store."""
    members = {index: run for index, run in enumerate(runs) if run in store.runs}
    slices = [document.runs[index].slices for index in members]
    return [_draw_slice(members, same_observable, store.number) for same_observable in zip(*slices, strict=True)]


def _draw_slice(members: Mapping[int, Run], slices: Sequence[Slice], store_number: int) -> Drawing:
    aucs = "; ".join(
        f"{run.name} {' '.join(_show(part.auc, 'none') for part in of_run.bins)}"
        for run, of_run in zip(members.values(), slices, strict=True)
    )
    return Drawing(
        name=f"store-{store_number}-by-{style.as_identifier(slices[0].variable)}",
        section="slices",
        alt=f"Test AUC in bins of {slices[0].long_name}: {aucs}.",
        caption="Bins with about the same number of test samples; each point is at the mean of its bin.",
        figure=curves.draw_sliced_auc(members, slices),
    )


def _draw_history(runs: Sequence[Run], quantity: str) -> Drawing:
    last = "; ".join(f"{run.name} {run.history[f'validation_{quantity}'][-1]:.4f}" for run in runs)
    label = curves.QUANTITIES[quantity]
    return Drawing(
        name=f"history-{quantity}",
        section="training",
        alt=f"{label[0].upper()}{label[1:]} by epoch, training and validation. Validation after the last epoch: "
        f"{last}.",
        caption=HISTORY_NOTES[quantity],
        figure=curves.draw_history(runs, quantity),
    )


def _draw_times(runs: Sequence[Run]) -> list[Drawing]:
    seconds = {run.name: run.history["seconds"].sum() for run in runs}
    ends = [
        f"{run.name} {run.history['validation_auc'][-1]:.4f} after {seconds[run.name]:,.0f} s"
        for run in runs
        if np.isfinite(seconds[run.name])
    ]
    if not ends:
        return []
    return [
        Drawing(
            name="auc-by-time",
            section="training",
            alt=f"Validation AUC by training time. At the end: {'; '.join(ends)}.",
            caption="After each epoch. Times can be compared only between runs on the same machine.",
            figure=curves.draw_auc_by_time(runs),
        )
    ]


def _draw_scores(run: Run, run_number: int) -> Drawing:
    background, signal = run.spec.classes
    return Drawing(
        name=f"scores-{run_number}",
        section="scores",
        alt=f"Score distributions of {run.name} for {background}s and {signal}s.",
        caption="Each class has unit area. Points well away from the filled histogram are a sign of overfitting.",
        figure=curves.draw_scores(run),
    )


def _draw_occlusion(run: Run, maps: OcclusionMaps | None, run_number: int) -> list[Drawing]:
    if maps is None or maps.background is None or maps.signal is None:
        return []
    changes = [np.array(maps.background), np.array(maps.signal)]
    rows, columns = changes[0].shape
    return [
        Drawing(
            name=f"occlusion-{run_number}-{style.as_identifier(name)}",
            section="occlusion",
            alt=f"Change of the score of {run.name} for {name}s when a patch is hidden, at most "
            f"{changes[label].max():.3f}.",
            caption=f"Mean absolute change of the score when one of {rows} x {columns} patches is set to zero, over "
            f"the {name}s among {maps.samples} test samples.",
            figure=showers.draw_occlusion(changes, run.spec, label, run.name),
        )
        for label, name in enumerate(run.spec.classes)
    ]


def draw_gallery(run: Run, results: RunResults, run_number: int, store: ReportStore) -> list[Drawing]:
    """Return the test images that a run was most confident and least certain about."""
    drawings, side = [], 2 * gallery.hit_margin(run.spec) + 1
    width = f"; each hit is drawn {side} x {side} cells wide" if side > 1 else ""
    for kind, meaning in gallery.KINDS.items():
        chosen: list[GallerySample] = getattr(results.gallery, kind)
        if not chosen:
            continue
        samples = "; ".join(
            f"{run.spec.classes[image.label]} {image.score:.4f} (sample {image.sample})" for image in chosen
        )
        drawing = Drawing(
            name=f"gallery-{run_number}-{kind}",
            section="gallery",
            alt=f"Test images on which {run.name} is {meaning}, with true class and score: {samples}.",
            caption=f"{samples}. The colour scale is an inverse hyperbolic sine; cells without a hit are blank{width}.",
            figure=gallery.draw_samples(store.path, run.spec, chosen, f"{style.shorten(run.name, 24)}: {meaning}"),
        )
        drawings.append(drawing)
    return drawings


def draw_showers(statistics: "xarray.Dataset", spec: DatasetSpec, store_number: int) -> list[Drawing]:
    """Return the average images in the training split of a store, and how the classes differ."""
    background, signal = spec.classes
    section = f"showers-{store_number}"
    drawings = []
    for channel, described in enumerate(spec.channels):
        prefix = f"store-{store_number}-{style.as_identifier(described.name)}"
        kind = showers.average_images(statistics, channel)[0]
        meaning = f"{described.long_name.capitalize()}, {described.comment}"
        for label, name in enumerate(spec.classes):
            drawing = Drawing(
                name=f"{prefix}-{style.as_identifier(name)}",
                section=section,
                alt=f"{AVERAGES[kind].capitalize()} of the {described.name} in each cell, for {name}s.",
                caption=f"{meaning}; {AVERAGES[kind]} over the training split.",
                figure=showers.draw_average(statistics, spec, channel, label),
            )
            drawings.append(drawing)
        drawing = Drawing(
            name=f"{prefix}-asymmetry",
            section=section,
            alt=f"Asymmetry between {signal}s and {background}s of the {AVERAGES[kind]} {described.name} in each cell.",
            caption=f"Difference between the classes: red where {signal}s have more, blue where {background}s do.",
            figure=showers.draw_asymmetry(statistics, spec, channel),
        )
        drawings.append(drawing)
    return drawings
