"""Average image of each class, from a store's statistics, and pictures of images that are too large to be seen."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from store.arrays import Float32Array, Float64Array

if TYPE_CHECKING:
    import xarray

SIGNED = 0.1
"""A channel is signed, like a time, if its minimum is below zero by more than this fraction of its maximum."""

MOST_CELLS = 256
"""Largest number of cells along a side of a picture; larger images are drawn in blocks of cells."""


def average_images(statistics: "xarray.Dataset", channel: int) -> tuple[str, Float64Array]:
    """Return the average image of a channel for each class, and the kind of average.

    It is the mean, except for a signed channel, whose mean is about zero: there it is the root mean square.

    Parameters
    ----------
    statistics
        Statistics of a store's training split.
    channel
        Index on the last axis of the images.

    Returns
    -------
    kind
        ``"mean"`` or ``"RMS"``.
    image
        float64 (class, ieta, iphi), in the units of the store; large images are made smaller by `coarsen`.
    """
    of_channel = statistics.isel(channel=channel)
    mean = coarsen(of_channel["mean_image"].transpose("class", "ieta", "iphi").to_numpy().astype(np.float64))
    if not is_signed(statistics, channel):
        return "mean", mean
    deviation = coarsen(of_channel["std_image"].transpose("class", "ieta", "iphi").to_numpy().astype(np.float64))
    return "RMS", np.hypot(mean, deviation)


def is_signed(statistics: "xarray.Dataset", channel: int) -> bool:
    """Return whether the values of a channel extend well below zero; see `SIGNED`."""
    of_channel = statistics.isel(channel=channel)
    return bool(-float(of_channel["pooled_minimum"]) > SIGNED * float(of_channel["pooled_maximum"]))


def coarsen(image: Float64Array, most: int = MOST_CELLS) -> Float64Array:
    """Return images (..., ieta, iphi) with at most `most` cells along a side: the means of square blocks of cells."""
    shape = image.shape[-2:]
    size = block_size(shape, most)
    if size == 1:
        return image
    starts = [np.arange(0, side, size) for side in shape]
    sums = np.add.reduceat(np.add.reduceat(image, starts[0], axis=-2), starts[1], axis=-1)
    rows, columns = (np.diff(start, append=side) for start, side in zip(starts, shape, strict=True))
    means: Float64Array = sums / np.outer(rows, columns)
    return means


def condense(values: Float32Array, size: int) -> Float32Array:
    """Return the value of the largest magnitude in each block of size x size cells of images (..., ieta, iphi)."""
    if size == 1:
        return values
    starts = [np.arange(0, side, size) for side in values.shape[-2:]]

    def extreme(function: np.ufunc) -> Float32Array:
        reduced: Float32Array = function.reduceat(function.reduceat(values, starts[0], axis=-2), starts[1], axis=-1)
        return reduced

    high, low = extreme(np.maximum), extreme(np.minimum)
    return np.where(high >= -low, high, low)


def block_size(shape: Sequence[int], most: int = MOST_CELLS) -> int:
    """Return the number of cells along a side of a block, such that an image has at most `most` blocks along a side."""
    return -(-max(shape[:2]) // most)
