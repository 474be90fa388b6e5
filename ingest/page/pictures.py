"""Pictures of the average image of each class and of the differences between classes, which the page's script draws."""

import base64
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from ingest.page.scales import Scale, linear, logarithmic, symmetric
from store.average_images import average_images, block_size, coarsen
from store.datasets import Channel, DatasetSpec

MOST_CHANNELS = 8
"""Channels of which images are drawn."""

MOST_CLASSES = 10
"""Classes of which mean images and spectra are drawn."""

MOST_VALUES = 400_000
"""Values of mean images in a page; larger images are drawn in blocks of cells."""

KINDS = {"mean": "mean", "RMS": "root mean square"}


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture of the average image of a class, or of a difference between classes.

    Attributes
    ----------
    channel
        Index of the channel.
    title, alt
        What it shows; in more words for screen readers.
    content
        What the script draws: ``scale``, ``shape`` and ``values``, each of a block of ``block`` x ``block`` cells.
    """

    channel: int
    title: str
    alt: str
    content: dict[str, Any]


def quantity(channel: Channel) -> str:
    """Return the name of a channel and its unit."""
    return f"{channel.name} ({channel.unit})" if channel.unit != "1" else f"{channel.name}, as in the source files"


def average_pictures(statistics: xr.Dataset, spec: DatasetSpec) -> list[Picture]:
    """Return pictures of the average image of each class and channel, and of the differences between the classes.

    Of two classes there is one difference, the second minus the first; of more, each class minus the mean of the
    others.
    """
    pictures = []
    count = min(len(spec.channels), MOST_CHANNELS)
    classes = spec.classes[:MOST_CLASSES]
    first = block_size(spec.image_shape)
    panels = count * (2 * len(classes) if len(spec.classes) > 2 else 3)
    most = max(8, int((MOST_VALUES / panels) ** 0.5))
    for k, channel in enumerate(spec.channels[:count]):
        kind, images = average_images(statistics, k)
        block = first * block_size(images.shape[1:], most)
        images = coarsen(images * channel.scale, most)
        label = f"{kind} {quantity(channel)}"
        scale = logarithmic(images, label, decades=5) if kind == "mean" else linear(images, label)
        for name, image in zip(classes, images, strict=False):
            alt = f"{KINDS[kind].capitalize()} of {channel.name} in each cell over all training images of {name}."
            pictures.append(Picture(channel=k, title=name, alt=alt, content=_dense(image, block, scale)))
        if len(spec.classes) == 2:
            named = {f"{spec.classes[1]} - {spec.classes[0]}": images[1] - images[0]}
        else:
            others = (images.sum(axis=0) - images) / (len(images) - 1)
            named = {f"{name} - others": difference for name, difference in zip(classes, images - others, strict=False)}
        scale = symmetric(np.stack(list(named.values())), f"difference of {label}", decades=3 if kind == "mean" else 1)
        for title, image in named.items():
            alt = f"Difference of the {KINDS[kind]} of {channel.name} in each cell: {title}; logarithmic to both sides."
            pictures.append(Picture(channel=k, title=title, alt=alt, content=_dense(image, block, scale)))
    return pictures


def _dense(image: npt.NDArray[np.float64], block: int, scale: Scale) -> dict[str, Any]:
    return {"scale": scale.to_dict(), "block": block, "shape": list(image.shape), "values": encode(image.astype("<f4"))}


def encode(array: npt.NDArray[np.generic]) -> str:
    """Return the bytes of an array in base64."""
    return base64.b64encode(array.tobytes()).decode()
