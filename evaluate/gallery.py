"""Single showers worth a look: where a classifier is most sure and right, most sure and wrong, and least sure."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.colors import AsinhNorm
from matplotlib.figure import Figure

import store
from evaluate import style
from evaluate.measure import Document
from store.predictions import Predictions
from store.schema import Description

SHOWN = 4
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


@style.styled
def draw(path: Path, description: Description, chosen: Sequence[Document], title: str) -> Figure:
    """Draw samples of a store side by side, a row for each channel, cells without a hit left blank.

    Colours are on an inverse hyperbolic sine scale, in each panel up to its own largest value.
    """
    channels = description.channels
    images = store.open_dataset(path)["image"].isel(sample=[one["sample"] for one in chosen]).to_numpy()
    figure = Figure(figsize=(style.WIDTH, 0.55 + 1.15 * len(channels)), layout="constrained")
    figure.suptitle(title, fontsize=10, fontweight="bold", x=0.01, ha="left", color=style.INK)
    panels = figure.subplots(len(channels), SHOWN, squeeze=False)
    for axes in panels.flat:
        axes.set(xticks=[], yticks=[])
        axes.set_visible(False)
    for column, (one, image) in enumerate(zip(chosen, images, strict=True)):
        for row, channel in enumerate(channels):
            axes, values = panels[row, column], image[..., row]
            axes.set_visible(True)
            signed, largest = bool((values < 0).any()), float(np.abs(values).max()) or 1.0
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
                axes.set_title(f"{description.classes[one['label']]}\n{one['score']:.4f}", fontsize=7.5, loc="center")
    return figure
