"""Single images: those with the most confident correct, the most confident wrong and the least certain scores."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.colors import AsinhNorm
from matplotlib.figure import Figure

import store
from evaluate import style
from evaluate.document import Gallery, GallerySample
from evaluate.showers import SIGNED
from store.arrays import Float32Array, Int64Array
from store.datasets import DatasetSpec
from store.integrity import naming
from store.predictions import Predictions

SHOWN = 4
VISIBLE_CELLS = 64  # most cells along a side of a panel that are large enough to be seen
KINDS = {"right": "most confidently right", "wrong": "most confidently wrong", "uncertain": "most uncertain"}


def choose_samples(predictions: Predictions) -> Gallery:
    """Return up to four samples of each of `KINDS`.

    The score of a sample's true class says how confident and how correct the model is about it; a score near 0.5 is
    uncertain.
    """
    true_score = np.where(predictions.label == 1, predictions.score, 1 - predictions.score)
    correct = (predictions.score >= 0.5) == predictions.label
    descending, ascending = np.argsort(-true_score, kind="stable"), np.argsort(true_score, kind="stable")

    def samples(rows: Int64Array) -> list[GallerySample]:
        return [
            GallerySample(
                sample=int(predictions.sample[row]),
                label=1 if predictions.label[row] else 0,
                score=float(predictions.score[row]),
            )
            for row in rows[:SHOWN]
        ]

    return Gallery(
        right=samples(descending[correct[descending]]),
        wrong=samples(ascending[~correct[ascending]]),
        uncertain=samples(np.argsort(np.abs(true_score - 0.5), kind="stable")),
    )


def hit_margin(spec: DatasetSpec) -> int:
    """Return the number of cells that are added to a hit on each side, so that it can be seen in a large image."""
    return max(spec.image_shape[:2]) // VISIBLE_CELLS


def widen(values: Float32Array, margin: int) -> Float32Array:
    """Add `margin` cells on each side to the hits of an image (ieta, iphi); overlaps keep the larger magnitude."""
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(values, margin), (2 * margin + 1, 2 * margin + 1))
    flat = windows.reshape(*values.shape, -1)
    return np.take_along_axis(flat, np.abs(flat).argmax(-1, keepdims=True), -1)[..., 0]


@style.styled
def draw_samples(path: Path, spec: DatasetSpec, samples: Sequence[GallerySample], title: str) -> Figure:
    """Draw samples of a store side by side, one row per channel, with cells without a hit left blank.

    The colour scale is an inverse hyperbolic sine that ends at the largest value of each panel. It is diverging in
    channels that fall well below zero. Hits in large images are widened by `widen`.
    """
    channels = spec.channels
    with naming(path):
        images = store.open_dataset(path)["image"].isel(sample=[chosen.sample for chosen in samples]).to_numpy()
    figure = Figure(figsize=(style.WIDTH, 0.55 + 1.15 * len(channels)), layout="constrained")
    figure.suptitle(title, fontsize=10, fontweight="bold", x=0.01, ha="left", color=style.INK)
    panels = figure.subplots(len(channels), SHOWN, squeeze=False)
    for axes in panels.flat:
        axes.set(xticks=[], yticks=[])
        axes.set_visible(False)
    signed_channels = -images.min(axis=(0, 1, 2)) > SIGNED * images.max(axis=(0, 1, 2))
    for column, (chosen, image) in enumerate(zip(samples, images, strict=True)):
        for row, (channel, signed) in enumerate(zip(channels, signed_channels, strict=True)):
            axes, values = panels[row, column], widen(image[..., row], hit_margin(spec))
            axes.set_visible(True)
            largest = float(np.abs(values).max()) or 1.0
            axes.imshow(
                np.ma.masked_equal(values, 0),
                norm=AsinhNorm(largest / (10 if signed else 100), -largest if signed else 0.0, largest),
                cmap="RdBu_r" if signed else "viridis",
                origin="lower",
                interpolation="none",
            )
            if column == 0:
                axes.set_ylabel(channel.name)
            if row == 0:
                axes.set_title(f"{spec.classes[chosen.label]}\n{chosen.score:.4f}", fontsize=7.5, loc="center")
    return figure
