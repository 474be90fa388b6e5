"""Figures of a report that need a store, with captions and descriptions for screen readers."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import UNSET

from evaluate import gallery, showers, slice_curves, style
from evaluate.document import MetricsDocument
from evaluate.drawing import Drawing
from evaluate.observables import OF_HITS
from evaluate.parts import Measurement
from evaluate.results import GallerySample, RunResults, Slice
from evaluate.runs import Classifier, Run
from evaluate.showers import MOST_CHANNELS, MOST_CLASSES
from evaluate.stores import ReportStore
from store.average_images import average_images, block_size
from store.datasets import Channel, DatasetSpec

if TYPE_CHECKING:
    import xarray

AVERAGES = {"mean": "mean", "RMS": "root mean square"}


def draw_slices(runs: Sequence[Classifier], document: MetricsDocument, store: ReportStore) -> list[Drawing]:
    """Return the AUC in bins of each observable of a store, for the runs and ensembles on that store."""
    members = {index: run for index, run in enumerate(runs) if run.store.digest == store.identity.digest}
    slices = [document.classifiers[index].slices for index in members]
    return [_draw_slice(members, same_observable, store.number) for same_observable in zip(*slices, strict=True)]


def _draw_slice(members: Mapping[int, Classifier], slices: Sequence[Slice], store_number: int) -> Drawing:
    quantity = _sliced_quantity(slices)
    values = "; ".join(
        f"{run.name} {' '.join(_show(getattr(part, quantity)) for part in of_run.bins)}"
        for run, of_run in zip(members.values(), slices, strict=True)
    )
    name = slice_curves.SLICED[quantity]
    empty = " Images without a hit are in no bin." if slices[0].variable in OF_HITS else ""
    return Drawing(
        name=f"store-{store_number}-by-{style.as_identifier(slices[0].variable)}",
        section="slices",
        alt=f"Test {name} in bins of {slices[0].long_name}: {values}.",
        caption="Bins with about the same number of test samples; each point is at the mean of its bin. "
        f"Long tails of the outermost bins are outside the axes.{empty}",
        figure=slice_curves.draw_sliced(members, slices, quantity),
    )


def _sliced_quantity(slices: Sequence[Slice]) -> str:
    """Return what to draw in bins: the AUC, unless more than two classes have too few samples of one in a bin."""
    bins = [part for of_run in slices for part in of_run.bins]
    return "auc" if all(part.by_class is UNSET or part.auc for part in bins) else "accuracy"


def _show(measurement: Measurement | None) -> str:
    return f"{measurement.value:.3g}" if measurement else "none"


def draw_gallery(run: Run, results: RunResults, run_number: int, store: ReportStore) -> list[Drawing]:
    """Return the test images of each class that a run was most confident and least certain about."""
    drawings, spec = [], run.spec
    said = "score" if len(spec.classes) == 2 else "most probable class"
    shown = gallery.classes_shown(spec)
    notes = [_describe_cells(spec), _describe_channels(spec)]
    for kind, meaning in gallery.KINDS.items():
        chosen: list[GallerySample] = getattr(results.gallery, kind)
        if not chosen:
            continue
        labels = sorted({image.label for image in chosen})[:shown]
        by_class = {spec.classes[label]: [image for image in chosen if image.label == label] for label in labels}
        verdicts = "; ".join(
            f"{name}: {', '.join(gallery.verdict(image, spec.classes) for image in images)}"
            for name, images in by_class.items()
        )
        positions = "; ".join(
            f"{name} {', '.join(str(image.sample) for image in images)}" for name, images in by_class.items()
        )
        left_out = f"The first {shown} classes are shown." if len({image.label for image in chosen}) > shown else ""
        drawing = Drawing(
            name=f"gallery-{run_number}-{kind}",
            section="gallery",
            alt=f"Test images on which {run.name} is {meaning}, with the {said} of each by true class: {verdicts}.",
            caption=" ".join(filter(None, [f"Positions in the store: {positions}.", *notes, left_out])),
            figure=gallery.draw_samples(store.path, spec, chosen, f"{style.shorten(run.name, 24)}: {meaning}"),
        )
        drawings.append(drawing)
    return drawings


def _describe_cells(spec: DatasetSpec) -> str:
    """Return how hits and cells of a large image are drawn; empty if they are drawn as they are."""
    block = block_size(spec.image_shape)
    side = block * (2 * gallery.hit_margin(spec) + 1)
    return f"Each hit is drawn {side} x {side} cells wide." if side > 1 else ""


def _describe_channels(spec: DatasetSpec) -> str:
    """Return which channels are drawn; empty if all are."""
    count = len(spec.channels)
    return f"The first {MOST_CHANNELS} of {count} channels are shown." if count > MOST_CHANNELS else ""


def draw_showers(statistics: "xarray.Dataset", spec: DatasetSpec, store_number: int) -> list[Drawing]:
    """Return the average images in the training split of a store, and how the classes differ."""
    draw = _draw_pair if len(spec.classes) == 2 else _draw_classes
    drawings = []
    for channel in range(min(len(spec.channels), MOST_CHANNELS)):
        drawings += draw(statistics, spec, channel, store_number)
    return drawings


def _draw_pair(statistics: "xarray.Dataset", spec: DatasetSpec, channel: int, store_number: int) -> list[Drawing]:
    """Return the average images of two classes in one channel, and their asymmetry."""
    background, signal = spec.classes
    described, section = spec.channels[channel], f"showers-{store_number}"
    prefix = f"store-{store_number}-{style.as_identifier(described.name)}"
    kind = average_images(statistics, channel)[0]
    averages = [
        Drawing(
            name=f"{prefix}-{style.as_identifier(name)}",
            section=section,
            alt=f"{AVERAGES[kind].capitalize()} of the {described.name} in each cell, for {name}s.",
            caption=f"{_describe(described)}; {AVERAGES[kind]} over the training split.",
            figure=showers.draw_average(statistics, spec, channel, label),
        )
        for label, name in enumerate(spec.classes)
    ]
    difference = f"Difference between the classes: red where {signal}s have more, blue where {background}s do."
    asymmetry = Drawing(
        name=f"{prefix}-asymmetry",
        section=section,
        alt=f"Asymmetry between {signal}s and {background}s of the {AVERAGES[kind]} {described.name} in each cell.",
        caption=f"{difference} {_describe_channels(spec)}".strip(),
        figure=showers.draw_asymmetry(statistics, spec, channel),
    )
    return [*averages, asymmetry]


def _draw_classes(statistics: "xarray.Dataset", spec: DatasetSpec, channel: int, store_number: int) -> list[Drawing]:
    """Return one figure of the average images of more than two classes in one channel."""
    described, kind, count = spec.channels[channel], average_images(statistics, channel)[0], len(spec.classes)
    choice = f"The first {MOST_CLASSES} of {count} classes are shown." if count > MOST_CLASSES else ""
    caption = (
        f"{_describe(described)}; {AVERAGES[kind]} over the training split; cells relative to the seed. Lower panels: "
        f"red where a class has more than the other classes on average, blue where it has less. {choice} "
        f"{_describe_channels(spec)}"
    )
    drawing = Drawing(
        name=f"store-{store_number}-channel-{style.as_identifier(described.name)}",
        section=f"showers-{store_number}",
        alt=f"{AVERAGES[kind].capitalize()} of the {described.name} in each cell, for each of "
        f"{', '.join(spec.classes[:MOST_CLASSES])}, and its difference from the other classes.",
        caption=" ".join(caption.split()),
        figure=showers.draw_averages(statistics, spec, channel),
    )
    return [drawing]


def _describe(channel: Channel) -> str:
    """Return what the values of a channel are."""
    meaning = channel.long_name[:1].upper() + channel.long_name[1:]
    if not channel.comment and channel.unit != "1":
        return f"{meaning}, value x {channel.scale:g} in {channel.unit}"
    return f"{meaning}, {channel.comment}" if channel.comment else meaning
