"""Single images: those with the most confident correct, the most confident wrong and the least certain scores."""

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import AsinhNorm
from matplotlib.figure import Figure

import store
from evaluate import style
from evaluate.results import Gallery, GallerySample
from evaluate.showers import MOST_CHANNELS, aspect
from store.arrays import Float32Array, Int64Array
from store.average_images import SIGNED, block_size, condense
from store.datasets import DatasetSpec
from store.integrity import naming
from store.locations import Location
from store.predictions import Predictions

SHOWN = 4
LOWEST = 1.5  # height of a figure in inches
LONGEST_CLASS = 16  # characters of a name that fit beside or above a panel
VISIBLE_CELLS = 64  # most cells along a side of a panel that are large enough to be seen
KINDS = {"right": "most confidently right", "wrong": "most confidently wrong", "uncertain": "most uncertain"}


def choose_samples(predictions: Predictions) -> Gallery:
    """Return up to four samples of each of `KINDS`.

    The probability of the most probable class says how confident the model is. Samples for which it is smallest are
    uncertain.
    """
    label, score = predictions.label, predictions.score
    if score.ndim == 1:
        certainty = np.where(label == 1, score, 1 - score)
        correct = (score >= 0.5) == label
        uncertainty = np.abs(certainty - 0.5)
        right, wrong = np.argsort(-certainty, kind="stable"), np.argsort(certainty, kind="stable")
    else:
        uncertainty = score.max(axis=1)
        correct = score.argmax(axis=1) == label
        right = wrong = np.argsort(-uncertainty, kind="stable")

    def samples(rows: Int64Array) -> list[GallerySample]:
        return [_describe(predictions, row) for row in rows[:SHOWN]]

    return Gallery(
        right=samples(right[correct[right]]),
        wrong=samples(wrong[~correct[wrong]]),
        uncertain=samples(np.argsort(uncertainty, kind="stable")),
    )


def _describe(predictions: Predictions, row: np.int64) -> GallerySample:
    sample, label = int(predictions.sample[row]), int(predictions.label[row])
    if predictions.score.ndim == 1:
        return GallerySample(sample=sample, label=label, score=float(predictions.score[row]))
    return GallerySample(sample=sample, label=label, probabilities=predictions.score[row].clip(0, 1).tolist())


def verdict(sample: GallerySample, classes: Sequence[str]) -> tuple[str, ...]:
    """Return the name of the true class of a sample, and what a model says of it, as texts for a title.

    The model says its score if there are two classes, and otherwise the most probable class and its probability.
    """
    true = style.shorten(classes[sample.label], LONGEST_CLASS)
    if isinstance(sample.score, float):
        return true, f"{sample.score:.4f}"
    probabilities = sample.probabilities or []
    predicted = int(np.argmax(probabilities))
    return true, f"as {style.shorten(classes[predicted], LONGEST_CLASS)}", f"{probabilities[predicted]:.4f}"


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
    """Draw samples of a store side by side, one row per channel, with cells without a hit left blank.

    The colour scale is an inverse hyperbolic sine that ends at the largest value of each panel. It is diverging in
    channels that fall well below zero. Hits in large images are widened by `widen`, after `condense` has made very
    large images smaller. At most `MOST_CHANNELS` channels are drawn.
    """
    channels = spec.channels[:MOST_CHANNELS]
    with naming(path):
        rows = {"sample": [chosen.sample for chosen in samples], "channel": slice(MOST_CHANNELS)}
        images = store.open_dataset(path)["image"].isel(rows).to_numpy()
    titles = [verdict(chosen, spec.classes) for chosen in samples]
    shape = spec.image_shape[:2]
    flatness = 1.0 if aspect(shape) == "auto" else min(shape[0] / shape[1], 2)
    height = 0.31 + 0.12 * len(titles[0]) + 1.15 * flatness * len(channels)
    figure = Figure(figsize=(style.WIDTH, max(height, LOWEST)), layout="constrained")
    figure.suptitle(title, fontsize=10, fontweight="bold", x=0.01, ha="left", color=style.INK)
    panels = figure.subplots(len(channels), SHOWN, squeeze=False)
    for axes in panels.flat:
        axes.set(xticks=[], yticks=[])
        axes.set_visible(False)
    signed_channels = -images.min(axis=(0, 1, 2)) > SIGNED * images.max(axis=(0, 1, 2))
    for column, (lines, image) in enumerate(zip(titles, images, strict=True)):
        for row, (channel, signed) in enumerate(zip(channels, signed_channels, strict=True)):
            axes = panels[row, column]
            values = widen(condense(image[..., row], block_size(shape)), hit_margin(spec))
            axes.set_visible(True)
            largest = float(np.abs(values).max()) or 1.0
            axes.imshow(
                np.ma.masked_equal(values, 0),
                norm=AsinhNorm(largest / (10 if signed else 100), -largest if signed else 0.0, largest),
                cmap="RdBu_r" if signed else "viridis",
                origin="lower",
                interpolation="none",
                aspect=aspect(shape),
            )
            if column == 0:
                axes.set_ylabel(style.shorten(channel.name, LONGEST_CLASS))
            if row == 0:
                axes.set_title("\n".join(lines), fontsize=7.5, loc="center")
    return figure
