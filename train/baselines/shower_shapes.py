"""Shower shapes: quantities computed from an image that tell electrons and photons apart without a network."""

from collections.abc import Mapping

import numpy as np

from store.arrays import Float32Array, Float64Array

BAND = 4
"""Largest distance from the seed, in cells, of the rows (or columns) in the band; rows farther out are mostly noise."""
DISTANCES = (1, 2, 3, 4, 5, 6)
"""Distances from the seed, in cells, that each have their own shower shape."""
OUTER_RANGES = ((7, 9), (10, 15))
"""Ranges of larger distances, with one shower shape for each range."""
SMALLEST = (2 * BAND + 1, 2 * OUTER_RANGES[-1][1] + 1)
"""Smallest numbers of cells along ieta and iphi with which every shower shape can be computed."""
LOG_CUTOFF = 4.7
"""Offset in the logarithmic weight max(0, 4.7 + ln f), which is zero for cells with a fraction f of the energy below
exp(-4.7) = 0.9 %."""


def compute_shower_shapes(image: Float32Array) -> dict[str, Float64Array]:
    """Compute the shower shapes of images.

    The window of an image is the largest one with the seed, the cell (ieta // 2, iphi // 2), in its middle, so that
    flips about the seed change no shape. In the window, E is the energy of a cell, where negative energies count as
    zero, and f = E / sum E. x and y are the distances of a cell from the seed along iphi and ieta, in cells. The band
    is the rows with ``abs(y) <= 4``. All shapes of an image without energy are zero.

    ==================================  =================================================================
    ``energy``                          sum E, in the unit of the source file
    ``hits``, ``band_hits``             number of cells with E > 0: in the window, in the band
    ``e1``, ``e9``, ``e25``             sum f over 1 x 1, 3 x 3, 5 x 5 cells around the seed
    ``first``, ``second``, ``third``    largest, second and third largest f
    ``phi_1`` .. ``phi_6``              sum f over the cells of the band at x = -k and x = k
    ``phi_7_9``, ``phi_10_15``          the same, summed over k from 7 to 9 and from 10 to 15
    ``phi_1_difference`` ..             absolute difference between the sums at x < 0 and at x > 0, for each of these
    ``eta_1``, ``eta_2``, ...           as for phi, at y = -k and y = k for k up to 3, in columns with ``abs(x) <= 4``
    ``phi_mean``, ``eta_mean``          absolute mean of x and of y in the band, weighted with E
    ``phi_width``, ``eta_width``        standard deviation of x and of y in the band, weighted with E
    ``phi_skew``, ``eta_skew``          absolute third central moment over the width cubed, weighted with E
    ``phi_log_width``,                  standard deviation, weighted with max(0, 4.7 + ln f), as in the shape variable
    ``eta_log_width``                   sigma_ieta_ieta of CMS (https://arxiv.org/abs/1502.02702)
    ``tilt``                            absolute covariance of x and y in the band, weighted with E
    ``time_mean``, ``time_width``       absolute mean and standard deviation of the time, weighted with E, in
                                        the unit of the source file
    ==================================  =================================================================

    Parameters
    ----------
    image
        float32 (batch, ieta, iphi, channel), energy in channel 0 and time in channel 1, as in the source file.

    Returns
    -------
    dict
        float64 (batch,) for each name.
    """
    energy, time = np.moveaxis(centred_window(image.astype(np.float64)), -1, 0)
    energy = np.maximum(energy, 0)
    total = energy.sum((1, 2))
    fraction = energy / np.where(total > 0, total, 1)[:, None, None]
    middle = tuple(size // 2 for size in fraction.shape[1:])
    band = fraction[:, middle[0] - BAND : middle[0] + BAND + 1]
    columns = fraction[:, :, middle[1] - BAND : middle[1] + BAND + 1]
    largest = np.sort(fraction.reshape(len(fraction), -1), axis=1)[:, :-4:-1]
    log_weight = np.maximum(0, LOG_CUTOFF + np.log(band, where=band > 0, out=np.full_like(band, -np.inf)))
    linear_moments, log_moments = weighted_moments(band), weighted_moments(log_weight)
    time_mean = (fraction * time).sum((1, 2))
    return {
        "energy": total,
        "hits": np.count_nonzero(fraction, axis=(1, 2)).astype(np.float64),
        "band_hits": np.count_nonzero(band, axis=(1, 2)).astype(np.float64),
        **{f"e{(2 * reach + 1) ** 2}": sum_of_square(fraction, reach) for reach in (0, 1, 2)},
        **dict(zip(("first", "second", "third"), largest.T, strict=True)),
        **sums_by_distance("phi", band.sum(1)),
        **sums_by_distance("eta", columns.sum(2), distances=DISTANCES[:3], ranges=()),
        **{name: np.abs(linear_moments[name]) for name in ("phi_mean", "eta_mean", "phi_skew", "eta_skew", "tilt")},
        **{name: linear_moments[name] for name in ("phi_width", "eta_width")},
        **{f"{axis}_log_width": log_moments[f"{axis}_width"] for axis in ("phi", "eta")},
        "time_mean": np.abs(time_mean),
        "time_width": np.sqrt((fraction * (time - time_mean[:, None, None]) ** 2).sum((1, 2))),
    }


def shower_shape_matrix(image: Float32Array) -> Float64Array:
    """Return the shower shapes of images (batch, ieta, iphi, channel) as columns, float64 (batch, shower shape)."""
    return np.column_stack(list(compute_shower_shapes(image).values()))


def centred_window(image: Float64Array) -> Float64Array:
    """Return the largest window of images that has the cell (ieta // 2, iphi // 2) in its middle."""
    for axis in (1, 2):
        size = image.shape[axis]
        reach = (size - 1) // 2
        image = image.take(range(size // 2 - reach, size // 2 + reach + 1), axis)
    return image


def sum_of_square(fraction: Float64Array, reach: int) -> Float64Array:
    """Return the sum (batch,) over the cells within `reach` rows and columns of the middle."""
    row, column = (size // 2 for size in fraction.shape[1:])
    cells = fraction[:, row - reach : row + reach + 1, column - reach : column + reach + 1]
    total: Float64Array = cells.sum((1, 2))
    return total


def sums_by_distance(
    axis: str,
    profile: Float64Array,
    *,
    distances: tuple[int, ...] = DISTANCES,
    ranges: tuple[tuple[int, int], ...] = OUTER_RANGES,
) -> Mapping[str, Float64Array]:
    """Return the sums over both sides of a profile, and the absolute differences of the sides, by distance.

    Parameters
    ----------
    axis
        Prefix of the names, ``phi`` or ``eta``.
    profile
        float64 (batch, cell), with the seed in the middle cell.
    distances
        Distances from the middle, in cells.
    ranges
        Smallest and largest distance of each range of distances, in cells.
    """
    middle = profile.shape[1] // 2
    limits = {
        **{f"{axis}_{k}": (k, k) for k in distances},
        **{f"{axis}_{near}_{far}": (near, far) for near, far in ranges},
    }
    sums: dict[str, Float64Array] = {}
    for name, (near, far) in limits.items():
        before = profile[:, middle - far : middle - near + 1].sum(1)
        after = profile[:, middle + near : middle + far + 1].sum(1)
        sums |= {name: before + after, f"{name}_difference": np.abs(before - after)}
    return sums


def weighted_moments(weight: Float64Array) -> dict[str, Float64Array]:
    """Return mean, width and skewness of the position along both axes, and the covariance of the two, in cells.

    Parameters
    ----------
    weight
        float64 (batch, ieta, iphi), weight of each cell.
    """
    total = weight.sum((1, 2))
    weight = weight / np.where(total > 0, total, 1)[:, None, None]
    moments: dict[str, Float64Array] = {}
    distances = {}
    for name, axis in (("phi", 2), ("eta", 1)):
        size = weight.shape[axis]
        cell = np.arange(size) - size // 2
        profile = weight.sum(3 - axis)
        mean = profile @ cell
        distance = cell - mean[:, None]
        variance = (profile * distance**2).sum(1)
        width = np.sqrt(variance)
        third = (profile * distance**3).sum(1)
        skew = third / np.where(width > 0, width, 1) ** 3
        moments |= {f"{name}_mean": mean, f"{name}_width": width, f"{name}_skew": skew}
        distances[name] = distance
    moments["tilt"] = np.einsum("nrc,nr,nc->n", weight, distances["eta"], distances["phi"])
    return moments
