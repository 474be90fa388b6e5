"""Image moments: quantities computed from each channel of an image, whatever its size and what it measures."""

from collections.abc import Mapping

import numpy as np

from store.arrays import Float32Array, Float64Array


def compute_image_moments(image: Float32Array) -> Mapping[str, Float64Array]:
    """Compute the moments of images.

    In a channel, w is the absolute value of a cell divided by the sum of all absolute values, and y and x are the
    distances of a cell from the middle of the image along ieta and iphi, in cells. All moments of a channel without
    hits are zero.

    ==========================  =================================================================
    ``total``                   sum of the values, as in the source file
    ``share``                   sum of the absolute values, divided by that of all channels
    ``hits``                    number of cells whose value is not zero
    ``maximum``                 largest absolute value
    ``eta_mean``, ``phi_mean``  mean of y and of x, weighted with w
    ``eta_width``,              standard deviation of y and of x, weighted with w
    ``phi_width``
    ``tilt``                    covariance of x and y, weighted with w
    ==========================  =================================================================

    Parameters
    ----------
    image
        float32 (batch, ieta, iphi, channel), with values as in the source file.

    Returns
    -------
    Mapping
        float64 (batch, channel) for each name.
    """
    size = np.abs(image)
    rows, columns = size.sum(2, dtype=np.float64), size.sum(1, dtype=np.float64)
    total = rows.sum(1)
    norm = np.where(total > 0, total, 1)
    everything = total.sum(1, keepdims=True)
    eta_mean, eta_width = _mean_and_width(rows / norm[:, None])
    phi_mean, phi_width = _mean_and_width(columns / norm[:, None])
    y, x = (np.arange(cells) - (cells - 1) / 2 for cells in image.shape[1:3])
    product = np.einsum("nrc,r->nc", np.einsum("nrpc,p->nrc", size, x, dtype=np.float64), y) / norm
    return {
        "total": image.sum((1, 2), dtype=np.float64),
        "share": total / np.where(everything > 0, everything, 1),
        "hits": np.count_nonzero(image, axis=(1, 2)).astype(np.float64),
        "maximum": size.max((1, 2)).astype(np.float64),
        "eta_mean": eta_mean,
        "phi_mean": phi_mean,
        "eta_width": eta_width,
        "phi_width": phi_width,
        "tilt": np.where(total > 0, product - eta_mean * phi_mean, 0),
    }


def image_moment_matrix(image: Float32Array) -> Float64Array:
    """Return the moments of images (batch, ieta, iphi, channel) as columns, float64 (batch, moment and channel)."""
    return np.hstack(list(compute_image_moments(image).values()))


def _mean_and_width(profile: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Return mean and standard deviation (batch, channel) of the cells of a profile (batch, cell, channel)."""
    cell = np.arange(profile.shape[1]) - (profile.shape[1] - 1) / 2
    mean: Float64Array = np.einsum("nrc,r->nc", profile, cell)
    distance = cell[:, None] - mean[:, None]
    return mean, np.sqrt((profile * distance**2).sum(1))
