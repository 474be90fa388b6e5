"""Single images worth a look: where a classifier is most sure and right, most sure and wrong, and least sure."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.colors import AsinhNorm
from matplotlib.figure import Figure

import store
from evaluate import style
from evaluate.images import Block
from evaluate.measure import Document
from evaluate.showers import SIGNED
from store.datasets import DatasetSpec
from store.predictions import Predictions

SHOWN = 4
CELLS_SEEN = 64  # along a side of a panel; smaller cells could not be seen
KINDS = {"right": "most confidently right", "wrong": "most confidently wrong", "uncertain": "most uncertain"}


def choose(predictions: Predictions) -> dict[str, list[Document]]:
    """Return up to four samples of each of `KINDS` with their label and score; fewer if there are no more.

    The score of a sample's own class says how confidently right or wrong it is, a score near 0.5 how uncertain.
    """
    own = np.where(predictions.label == 1, predictions.score, 1 - predictions.score)
    right = (predictions.score >= 0.5) == predictions.label
    sure, unsure = np.argsort(-own, kind="stable"), np.argsort(own, kind="stable")
    orders = {
        "right": sure[right[sure]],
        "wrong": unsure[~right[unsure]],
        "uncertain": np.argsort(np.abs(own - 0.5), kind="stable"),
    }
    return {
        kind: [
            {
                "sample": int(predictions.sample[row]),
                "label": int(predictions.label[row]),
                "score": float(predictions.score[row]),
            }
            for row in rows[:SHOWN]
        ]
        for kind, rows in orders.items()
    }


def reach(spec: DatasetSpec) -> int:
    """Return over how many cells on each side a hit is drawn, so that it can be seen in a large image."""
    return max(spec.image_shape[:2]) // CELLS_SEEN


def widen(values: Block, reach: int) -> Block:
    """Return an image (ieta, iphi) whose hits cover the cells around them; the one larger in magnitude is on top."""
    around = np.lib.stride_tricks.sliding_window_view(np.pad(values, reach), (2 * reach + 1, 2 * reach + 1))
    flat = around.reshape(*values.shape, -1)
    return np.take_along_axis(flat, np.abs(flat).argmax(-1, keepdims=True), -1)[..., 0]


@style.styled
def draw(path: Path, spec: DatasetSpec, chosen: Sequence[Document], title: str) -> Figure:
    """Draw samples of a store side by side, a row for each channel, cells without a hit left blank.

    Colours are on an inverse hyperbolic sine scale, in each panel up to its own largest value, and have a sign in the
    channels that fall well below zero. Hits in large images are drawn by `widen`.
    """
    channels = spec.channels
    images = store.open_dataset(path)["image"].isel(sample=[one["sample"] for one in chosen]).to_numpy()
    figure = Figure(figsize=(style.WIDTH, 0.55 + 1.15 * len(channels)), layout="constrained")
    figure.suptitle(title, fontsize=10, fontweight="bold", x=0.01, ha="left", color=style.INK)
    panels = figure.subplots(len(channels), SHOWN, squeeze=False)
    for axes in panels.flat:
        axes.set(xticks=[], yticks=[])
        axes.set_visible(False)
    signs = -images.min(axis=(0, 1, 2)) > SIGNED * images.max(axis=(0, 1, 2))
    for column, (one, image) in enumerate(zip(chosen, images, strict=True)):
        for row, (channel, signed) in enumerate(zip(channels, signs, strict=True)):
            axes, values = panels[row, column], widen(image[..., row], reach(spec))
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
                axes.set_title(f"{spec.classes[one['label']]}\n{one['score']:.4f}", fontsize=7.5, loc="center")
    return figure
