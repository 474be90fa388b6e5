"""Single images of each class: those with the most confident correct, most confident wrong and least certain scores."""

import itertools
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import AsinhNorm, LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

import store
from evaluate import style
from evaluate.results import Gallery, GallerySample
from evaluate.showers import MOST_CHANNELS, aspect
from store.arrays import Float32Array, Int64Array
from store.average_images import SIGNED, block_size, condense
from store.datasets import DatasetSpec
from store.integrity import naming
from store.locations import Location
from store.pages.style import PANEL as PANEL_COLOUR
from store.predictions import Predictions

SHOWN = 4
"""Samples of each class and kind."""

MOST_ROWS = 12
"""Rows of a figure, one for each class and channel; beyond two classes, others are left out."""

WIDTH, PANEL = 7.4, 1.45
"""Width of a figure and height of a square image in inches."""

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
    with naming(path):
        rows = {"sample": [sample.sample for sample in shown], "channel": slice(MOST_CHANNELS)}
        images = store.open_dataset(path)["image"].isel(rows).to_numpy()
    images = images * np.array([channel.scale for channel in channels], np.float32)
    scales = [_scale(images[..., k]) for k in range(len(channels))]
    flatness = 1.0 if aspect(spec.image_shape) == "auto" else min(spec.image_shape[0] / spec.image_shape[1], 2)
    count = len(labels) * len(channels)
    height = 0.75 + max(0.7, PANEL * flatness) * count + 0.2 * len(labels)
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    figure.suptitle(title, fontsize=10, fontweight="bold", x=0.01, ha="left", color=style.INK)
    panels = figure.subplots(count, SHOWN, squeeze=False, sharex=True, sharey=True)
    drawn = iter(images)
    for number, (label, chosen) in enumerate(zip(labels, of_class, strict=True)):
        block = panels[number * len(channels) : (number + 1) * len(channels)]
        for column, sample in enumerate(chosen):
            image = next(drawn)
            block[0, column].set_title(verdict(sample, spec.classes), fontsize=8, fontweight="normal", loc="center")
            for k, axes in enumerate(block[:, column]):
                _draw_image(axes, image[..., k], spec, *scales[k])
        for axes in block[:, len(chosen) :].flat:
            axes.set_visible(False)
        name = style.shorten(spec.classes[label], LONGEST_CLASS)
        for channel, row in zip(channels, block, strict=True):
            row[0].set_ylabel(f"{name}\nieta", fontsize=8)
            unit = f" ({channel.unit})" if channel.unit != "1" else ""
            bar = figure.colorbar(row[0].images[0], ax=list(row), pad=0.01, fraction=0.04, format="%g")
            bar.set_label(f"{style.shorten(channel.name, LONGEST_CLASS)}{unit}", fontsize=8)
            bar.ax.tick_params(labelsize=7.5)
            bar.ax.minorticks_off()
            norm = bar.norm
            if isinstance(norm, AsinhNorm):
                bar.set_ticks([sign * 10.0 ** np.floor(np.log10(norm.vmax or 1)) for sign in (-1, 0, 1)])
            bar.outline.set_visible(False)
    figure.supxlabel("iphi; both axes in cells from the seed", fontsize=8, color=style.INK)
    return figure


def _scale(values: Float32Array) -> tuple[Normalize, str]:
    """Return the colour scale of the images of one channel, and the name of its colours."""
    size = np.abs(values[values != 0])
    largest = float(size.max(initial=0)) or 1.0
    if -values.min() > SIGNED * values.max():
        return AsinhNorm(largest / 10, -largest, largest), "RdBu_r"
    lowest = max(float(size.min(initial=largest)), largest * 10.0**-DECADES)
    return LogNorm(lowest if lowest < largest else largest / 10, largest, clip=True), "viridis"


def _draw_image(axes: Axes, image: Float32Array, spec: DatasetSpec, norm: Normalize, colours: str) -> None:
    """Draw one channel (ieta, iphi) of an image with coordinates relative to the seed."""
    size, (eta, phi) = block_size(spec.image_shape), spec.seed
    values = widen(condense(image, size), hit_margin(spec))
    rows, columns = (size * side for side in values.shape)
    axes.set_facecolor(PANEL_COLOUR)
    axes.imshow(
        np.ma.masked_equal(values, 0),
        norm=norm,
        cmap=colours,
        origin="lower",
        extent=(-phi - 0.5, columns - phi - 0.5, -eta - 0.5, rows - eta - 0.5),
        interpolation="none",
        aspect=aspect(spec.image_shape),
    )
    axes.grid(visible=False)
    axes.tick_params(labelsize=7.5)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(4, integer=True, steps=[1, 2, 5, 10]))
