"""Single images of each class: those with the most confident correct, most confident wrong and least certain scores."""

import itertools
from collections.abc import Sequence

import numpy as np
from matplotlib.colors import AsinhNorm, LogNorm, Normalize
from matplotlib.figure import Figure

import store
from evaluate import style
from evaluate.results import Gallery, GallerySample
from evaluate.sheet import BAR, BAR_GAP, Sheet, panel_size
from evaluate.showers import MOST_CHANNELS
from store.arrays import Float32Array, Int64Array
from store.average_images import SIGNED, block_size, condense
from store.datasets import DatasetSpec
from store.locations import Location
from store.predictions import Predictions
from store.readers.sample_reader import open_reader

SHOWN = 4
"""Samples of each class and kind."""

MOST_ROWS = 12
"""Rows of a figure, one for each class and channel; beyond two classes, others are left out."""

PANEL, LOWEST = 1.42, 0.75
"""Width of an image, and smallest height of a row, in inches."""

GAP, TITLE = 0.07, 0.26
"""Room between images, and for the text above those of a class, in inches."""

LONGEST_CLASS = 16  # characters of a name that fit beside or above a panel
VISIBLE_CELLS = 64  # most cells along a side of a panel that are large enough to be seen
DECADES = 4  # of the logarithmic scale of colours
KINDS = {"right": "most confidently right", "wrong": "most confidently wrong", "uncertain": "most uncertain"}


def choose_samples(predictions: Predictions) -> Gallery:
    """Return up to four samples of each class and of each of `KINDS`, ordered by class.

    The probability of the most probable class says how confident the model is. Samples for which it is smallest are
    uncertain.
    """
    label, score = predictions.label, predictions.score
    if score.ndim == 1:
        confidence, correct = np.abs(score - 0.5), (score >= 0.5) == label
    else:
        confidence, correct = score.max(axis=1), score.argmax(axis=1) == label
    falling, rising = np.argsort(-confidence, kind="stable"), np.argsort(confidence, kind="stable")

    def samples(rows: Int64Array) -> list[GallerySample]:
        return [_describe(predictions, row) for code in np.unique(label) for row in rows[label[rows] == code][:SHOWN]]

    return Gallery(
        right=samples(falling[correct[falling]]),
        wrong=samples(falling[~correct[falling]]),
        uncertain=samples(rising),
    )


def _describe(predictions: Predictions, row: np.int64) -> GallerySample:
    sample, label = int(predictions.sample[row]), int(predictions.label[row])
    if predictions.score.ndim == 1:
        return GallerySample(sample=sample, label=label, score=float(predictions.score[row]))
    return GallerySample(sample=sample, label=label, probabilities=predictions.score[row].clip(0, 1).tolist())


def verdict(sample: GallerySample, classes: Sequence[str]) -> str:
    """Return what a model says of a sample, as the title of its image.

    It is the score if there are two classes, and otherwise the most probable class and its probability.
    """
    if isinstance(sample.score, float):
        return f"{sample.score:.4f}"
    probabilities = sample.probabilities or []
    predicted = int(np.argmax(probabilities))
    return f"{style.shorten(classes[predicted], LONGEST_CLASS)} {probabilities[predicted]:.4f}"


def classes_shown(spec: DatasetSpec) -> int:
    """Return the number of classes whose samples a figure shows."""
    return max(2, MOST_ROWS // min(len(spec.channels), MOST_CHANNELS))


def hit_margin(spec: DatasetSpec) -> int:
    """Return the number of cells that are added to a hit on each side, so that it can be seen in a large image.

    Where an image is drawn in blocks of cells, it is a number of blocks.
    """
    return -(-max(spec.image_shape[:2]) // block_size(spec.image_shape)) // VISIBLE_CELLS


def widen(values: Float32Array, margin: int) -> Float32Array:
    """Add `margin` cells on each side to the hits of an image (ieta, iphi); overlaps keep the larger magnitude."""
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(values, margin), (2 * margin + 1, 2 * margin + 1))
    flat = windows.reshape(*values.shape, -1)
    return np.take_along_axis(flat, np.abs(flat).argmax(-1, keepdims=True), -1)[..., 0]


@style.styled
def draw_samples(path: Location, spec: DatasetSpec, samples: Sequence[GallerySample], title: str) -> Figure:
    """Draw samples of a store in physical units, a row for each class and channel, on a background for every theme.

    A channel has one colour scale in all rows: logarithmic, or in channels that fall well below zero an inverse
    hyperbolic sine to both sides. Cells without a hit have the colour of the background. Hits in large images are
    widened by `widen`, after `condense` has made very large images smaller. At most `MOST_CHANNELS` channels and
    `classes_shown` classes are drawn.
    """
    channels = spec.channels[:MOST_CHANNELS]
    labels = sorted({sample.label for sample in samples})[: classes_shown(spec)]
    of_class = [[sample for sample in samples if sample.label == label] for label in labels]
    shown = list(itertools.chain.from_iterable(of_class))
    images = _read(path, [sample.sample for sample in shown])[..., : len(channels)]
    images = images * np.array([channel.scale for channel in channels], np.float32)
    scales = [_scale(images[..., k]) for k in range(len(channels))]
    width, height = panel_size(spec.image_shape, PANEL)
    pitch = max(height + GAP, LOWEST)
    lefts = [(PANEL + GAP) * column for column in range(SHOWN)]
    tops = [TITLE + (pitch * len(channels) + TITLE) * number for number in range(len(labels))]
    bar = lefts[-1] + PANEL + BAR_GAP
    sheet = Sheet(title, bar + BAR, tops[-1] + pitch * len(channels) - GAP)
    drawn = iter(images)
    for label, chosen, top in zip(labels, of_class, tops, strict=True):
        for left, sample in zip(lefts, chosen, strict=False):
            image = next(drawn)
            sheet.write(verdict(sample, spec.classes), left + width / 2, top - 0.04)
            for k in range(len(channels)):
                sheet.draw(_prepare(image[..., k], spec), (left, top + pitch * k, width, height), *scales[k])
        name = style.shorten(spec.classes[label], LONGEST_CLASS)
        for k, channel in enumerate(channels):
            sheet.name_row(f"{name}\nieta", top + pitch * k + height / 2)
            unit = f" ({channel.unit})" if channel.unit != "1" else ""
            described = f"{style.shorten(channel.name, LONGEST_CLASS)}{unit}"
            sheet.draw_bar(bar, top + pitch * k, height, *scales[k], described)
    heights = [(top + pitch * k, height) for top in tops for k in range(len(channels))]
    sheet.number_cells([(left, width) for left in lefts], heights, spec)
    sheet.label_columns("iphi; both axes in cells from the seed")
    return sheet.figure


def _read(path: Location, rows: Sequence[int]) -> Float32Array:
    """Return images of a store, (row, ieta, iphi, channel)."""
    opened = store.open_store(path)
    images = np.empty((len(rows), *opened.spec.image_shape), np.float32)
    open_reader(opened.image, opened.shards).read(np.array(rows, np.int64), images)
    return images


def _scale(values: Float32Array) -> tuple[Normalize, str]:
    """Return the colour scale of the images of one channel, and the name of its colours."""
    size = np.abs(values[values != 0])
    largest = float(size.max(initial=0)) or 1.0
    if -values.min() > SIGNED * values.max():
        return AsinhNorm(largest / 10, -largest, largest), "RdBu_r"
    lowest = max(float(size.min(initial=largest)), largest * 10.0**-DECADES)
    return LogNorm(lowest if lowest < largest else largest / 10, largest, clip=True), "viridis"


def _prepare(image: Float32Array, spec: DatasetSpec) -> Float32Array:
    """Return one channel (ieta, iphi) of an image as it is drawn, with cells without a hit masked."""
    values = widen(condense(image, block_size(spec.image_shape)), hit_margin(spec))
    return np.ma.masked_equal(values, 0)
