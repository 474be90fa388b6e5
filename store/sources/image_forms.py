"""The forms that an image may have in a source file: the order of its axes, no channel axis, or one flat row of values.

In all of them the values are in row-major order, so that a form is known by whether channels are on the first axis.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from store.arrays import Float32Array
from store.datasets import DatasetSpec
from store.errors import SourceError


def is_channel_first(spec: DatasetSpec, usual: str = "channel-last") -> bool:
    """Return whether images have their channels on the first axis: as the data set says, else as usual for the form."""
    return (spec.layout or usual) == "channel-first"


def row_shapes(spec: DatasetSpec, first: bool) -> list[tuple[int, ...]]:
    """Return the shapes that an image may have in a file.

    Parameters
    ----------
    spec
        The data set.
    first
        Whether channels are on the first axis.
    """
    ieta, iphi, channel = spec.image_shape
    full, flat = (channel, ieta, iphi) if first else (ieta, iphi, channel), (math.prod(spec.image_shape),)
    single = [(ieta, iphi), (ieta, iphi, 1), (1, ieta, iphi)] if channel == 1 else []
    return list(dict.fromkeys([full, *single, flat]))


def check_shape(path: Path, key: str, shape: Sequence[int], spec: DatasetSpec, first: bool) -> None:
    """Raise SourceError unless images have one of the shapes that the data set may have in a file.

    Parameters
    ----------
    path, key
        File and name of the images, for messages.
    shape
        Shape of all images, with the rows first.
    spec
        The data set.
    first
        Whether channels are on the first axis.
    """
    shape = tuple(shape)
    if shape[1:] in row_shapes(spec, first):
        return
    expected = " or ".join(map(str, row_shapes(spec, first)))
    other = "channel-last" if first else "channel-first"
    advice = f'; image.layout = "{other}" fits' if shape[1:] in row_shapes(spec, not first) else ""
    raise SourceError(f"{path}: {key} has shape {shape}, expected rows of {expected}{advice}")


def arrange(images: Float32Array, spec: DatasetSpec, first: bool) -> Float32Array:
    """Return images in a form that passed `check_shape` as (n, ieta, iphi, channel): a view unless axes must move."""
    ieta, iphi, channel = spec.image_shape
    if first and channel > 1:
        return np.moveaxis(images.reshape(-1, channel, ieta, iphi), 1, -1)
    return images.reshape(-1, ieta, iphi, channel)
