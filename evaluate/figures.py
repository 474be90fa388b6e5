"""Every figure of a report, with the words that go with it."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from evaluate import curves, gallery, showers, style
from evaluate.measure import Document
from evaluate.runs import Run
from evaluate.stores import SeenStore
from store.datasets import DatasetSpec

if TYPE_CHECKING:
    import xarray

HISTORY_NOTES = {
    "loss": "Mean binary cross-entropy. The training curves are taken while the weights change, with dropout on.",
    "accuracy": "Share of samples on the right side of a score of 0.5. Training curves with dropout on.",
    "auc": "Area under the ROC curve. Training curves with dropout on.",
}
AVERAGES = {"mean": "mean", "RMS": "root mean square"}


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A figure of the report.

    Attributes
    ----------
    name
        Unique; the stem of its files.
    section
        Of the page: ``"separation"``, ``"training"``, ``"scores"``, ``"slices"``,
        ``"occlusion"``, ``"gallery"``, or ``"showers-1"`` for the first store and so on.
    alt
        What it shows, for those who do not see it.
    caption
        How to read it.
    figure
        The figure itself.
    """

    name: str
    section: str
    alt: str
    caption: str
    figure: Figure


def draw_runs(runs: Sequence[Run], document: Document) -> list[Drawing]:
    """Return the figures of the runs, whose metrics are in the document."""
    background, signal = curves.class_names(runs)
    aucs = _each(document, lambda test: f"{test['auc']['value']:.4f}")
    at_half = _each(document, lambda test: show(test["background_rejection"]["0.5"], "∞"))
    precisions = _each(document, lambda test: f"{test['average_precision']:.4f}")
    errors = _each(document, lambda test: f"{test['expected_calibration_error']:.4f}")
    return [
        Drawing(
            name="roc",
            section="separation",
            alt=f"ROC curves on the test split. AUC: {aucs}.",
            caption="Test split, with the AUC and its standard error. The dotted line is chance.",
            figure=curves.roc(runs),
        ),
        Drawing(
            name="rejection",
            section="separation",
            alt=f"Background rejection against signal efficiency on the test split. At half the signal: {at_half}.",
            caption=f"Test split: of how many {background}s one passes the cut that keeps this share of the {signal}s.",
            figure=curves.rejection(runs),
        ),
        Drawing(
            name="precision",
            section="separation",
            alt=f"Precision against recall on the test split. Average precision: {precisions}.",
            caption=f"Test split: share of {signal}s in what passes the cut that keeps this share of the {signal}s.",
            figure=curves.precision_recall(runs),
        ),
        Drawing(
            name="calibration",
            section="separation",
            alt=f"Share of signal against mean score on the test split. Expected calibration error: {errors}.",
            caption="Test split, 15 bins of equal width. On the dotted line a score is a probability.",
            figure=curves.calibration(runs),
        ),
        *(_draw_history(runs, quantity) for quantity in curves.QUANTITIES),
        *_draw_times(runs),
        *(_draw_scores(run, place) for place, run in enumerate(runs, start=1)),
        *itertools.chain.from_iterable(
            _draw_occlusion(run, numbers["occlusion"], place)
            for place, (run, numbers) in enumerate(zip(runs, document["runs"], strict=True), start=1)
        ),
    ]


def _each(document: Document, say: Callable[[Document], str]) -> str:
    """Return what there is to say of the test split of every run."""
    return "; ".join(f"{run['name']} {say(run['splits']['test'])}" for run in document["runs"])


def show(estimate: Document | None, none: str) -> str:
    """Return the value of an estimate to three digits."""
    return f"{estimate['value']:.3g}" if estimate else none


def draw_slices(runs: Sequence[Run], document: Document, seen: SeenStore) -> list[Drawing]:
    """Return the AUCs of the runs on one store by each of its variables."""
    members = {place: run for place, run in enumerate(runs) if run in seen.runs}
    parts = [document["runs"][place]["slices"] for place in members]
    return [_draw_slice(members, slices, seen.place) for slices in zip(*parts, strict=True)]


def _draw_slice(members: Mapping[int, Run], slices: Sequence[Document], place: int) -> Drawing:
    variable = slices[0]
    aucs = "; ".join(
        f"{run.name} {' '.join(show(one['auc'], 'none') for one in part['bins'])}"
        for run, part in zip(members.values(), slices, strict=True)
    )
    return Drawing(
        name=f"store-{place}-by-{variable['variable']}",
        section="slices",
        alt=f"Test AUC in bins of {variable['long_name']}: {aucs}.",
        caption="Bins of about equal numbers of test samples; points at the mean of the bin.",
        figure=curves.sliced_auc(members, slices),
    )


def _draw_history(runs: Sequence[Run], quantity: str) -> Drawing:
    last = "; ".join(f"{run.name} {run.history[f'validation_{quantity}'][-1]:.4f}" for run in runs)
    label = curves.QUANTITIES[quantity]
    return Drawing(
        name=f"history-{quantity}",
        section="training",
        alt=f"{label[0].upper()}{label[1:]} by epoch, training and validation. Validation at the last epoch: {last}.",
        caption=HISTORY_NOTES[quantity],
        figure=curves.history(runs, quantity),
    )


def _draw_times(runs: Sequence[Run]) -> list[Drawing]:
    times = {run.name: run.history["seconds"].sum() for run in runs}
    ends = [
        f"{run.name} {run.history['validation_auc'][-1]:.4f} after {times[run.name]:,.0f} s"
        for run in runs
        if np.isfinite(times[run.name])
    ]
    if not ends:
        return []
    return [
        Drawing(
            name="auc-by-time",
            section="training",
            alt=f"Validation AUC by seconds of training. At the end: {'; '.join(ends)}.",
            caption="After each epoch, on the machine of each run: times compare only where machines do.",
            figure=curves.auc_by_time(runs),
        )
    ]


def _draw_scores(run: Run, place: int) -> Drawing:
    background, signal = run.spec.classes
    return Drawing(
        name=f"scores-{place}",
        section="scores",
        alt=f"Distributions of the scores of {run.name}, for {background}s and {signal}s.",
        caption="Each class has unit area. Points well outside the filled histogram are a sign of overtraining.",
        figure=curves.scores(run),
    )


def _draw_occlusion(run: Run, document: Document | None, place: int) -> list[Drawing]:
    if document is None or document["background"] is None or document["signal"] is None:
        return []
    maps = [np.array(document[name]) for name in ("background", "signal")]
    rows, columns = maps[0].shape
    return [
        Drawing(
            name=f"occlusion-{place}-{name}",
            section="occlusion",
            alt=f"How much the score of {run.name} for {name}s changes when a patch is hidden, "
            f"at most {maps[label].max():.3f}.",
            caption=f"Mean absolute change of the score over {name}s among {document['samples']} test samples when one "
            f"of {rows} x {columns} patches is set to zero.",
            figure=showers.occlusion(maps, run.spec, label, run.name),
        )
        for label, name in enumerate(run.spec.classes)
    ]


def draw_gallery(run: Run, document: Document, place: int, seen: SeenStore) -> list[Drawing]:
    """Return the images that the run at that place in the report was most and least sure of."""
    drawings, side = [], 2 * gallery.reach(run.spec) + 1
    width = f", a hit {side} x {side} cells wide to be seen" if side > 1 else ""
    for kind, meaning in gallery.KINDS.items():
        chosen = document["gallery"][kind]
        if not chosen:
            continue
        classes = run.spec.classes
        samples = "; ".join(f"{classes[one['label']]} {one['score']:.4f} (sample {one['sample']})" for one in chosen)
        drawing = Drawing(
            name=f"gallery-{place}-{kind}",
            section="gallery",
            alt=f"Test images that {run.name} is {meaning} about, true class and score: {samples}.",
            caption=f"{samples}. Colours on an inverse hyperbolic sine scale, cells without a hit blank{width}.",
            figure=gallery.draw(seen.path, run.spec, chosen, f"{style.shorten(run.name, 24)}: {meaning}"),
        )
        drawings.append(drawing)
    return drawings


def draw_showers(statistics: "xarray.Dataset", spec: DatasetSpec, place: int) -> list[Drawing]:
    """Return the average images in the training split of the store at that place in the report."""
    background, signal = spec.classes
    drawings = []
    for channel, described in enumerate(spec.channels):
        kind = showers.average(statistics, channel)[0]
        meaning = f"{described.long_name.capitalize()}, {described.comment}"
        for label, name in enumerate(spec.classes):
            drawing = Drawing(
                name=f"store-{place}-{described.name}-{name}",
                section=f"showers-{place}",
                alt=f"{AVERAGES[kind].capitalize()} of the {described.name} by pixel, for {name}s.",
                caption=f"{meaning}; {AVERAGES[kind]} over the training split.",
                figure=showers.average_shower(statistics, spec, channel, label),
            )
            drawings.append(drawing)
        drawing = Drawing(
            name=f"store-{place}-{described.name}-asymmetry",
            section=f"showers-{place}",
            alt=f"Asymmetry between {signal}s and {background}s of the {AVERAGES[kind]} {described.name} by pixel.",
            caption=f"Where the classes differ: red where {signal}s have more, blue where {background}s.",
            figure=showers.asymmetry(statistics, spec, channel),
        )
        drawings.append(drawing)
    return drawings
