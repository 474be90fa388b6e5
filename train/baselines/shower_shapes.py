"""Shapes of showers: the hand-made quantities that electrons and photons are told apart by without a network."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
REACH = 4  # rows and columns from the seed beyond which there is little but noise across the bending
STEPS = (1, 2, 3, 4, 5, 6)
ARMS = ((7, 9), (10, 15))
CUTOFF = 4.7  # of the logarithmic weight: cells below exp(-4.7) = 0.9 % of the energy have none


def shower_shapes(image: npt.NDArray[np.float32]) -> dict[str, Floats]:
    """Return shapes of showers by name.

    An image is taken in the largest window that has the seed, the cell (ieta // 2, iphi // 2), in its middle: flips
    about the seed change no shape. In it, E are the energies (negative ones count as none), f = E / sum E, x and y the
    distances in iphi and ieta from the seed in cells, and the band the rows with ``abs(y) <= 4``. An empty image gives
    zeros.

    ==================================  =================================================================
    ``energy``                          sum E, in units of the file
    ``hits``, ``band_hits``             number of cells with E > 0: in the window, in the band
    ``e1``, ``e9``, ``e25``             sum f over 1 x 1, 3 x 3, 5 x 5 cells around the seed
    ``first``, ``second``, ``third``    largest, second and third largest f
    ``phi_1`` .. ``phi_6``              sum f over the band at x = -k and x = k
    ``phi_7_9``, ``phi_10_15``          the same, over k from 7 to 9 and from 10 to 15
    ``phi_1_difference`` ..             the same, but the difference of both sides, as an absolute value
    ``eta_1``, ``eta_2``, ...           as in phi, over columns with ``abs(x) <= 4`` at y = -k and y = k, k up to 3
    ``phi_mean``, ``eta_mean``          absolute mean of x and of y in the band, weighted with E
    ``phi_width``, ``eta_width``        standard deviation of x and of y in the band, weighted with E
    ``phi_skew``, ``eta_skew``          absolute third central moment over the width cubed, weighted with E
    ``phi_log_width``,                  standard deviation, weighted with max(0, 4.7 + ln f), the weight of the CMS
    ``eta_log_width``                   shape variable sigma_ieta_ieta (https://arxiv.org/abs/1502.02702)
    ``tilt``                            absolute covariance of x and y in the band, weighted with E
    ``time_mean``, ``time_width``       absolute mean and standard deviation of the time, weighted with E, in
                                        units of the file
    ==================================  =================================================================

    Parameters
    ----------
    image
        float32 (batch, ieta, iphi, channel), energy in channel 0 and time in channel 1, as in the file.

    Returns
    -------
    dict
        Each float64 (batch,).
    """
    energy, time = np.moveaxis(centred(image.astype(np.float64)), -1, 0)
    energy = np.maximum(energy, 0)
    total = energy.sum((1, 2))
    share = energy / np.where(total > 0, total, 1)[:, None, None]
    middle = tuple(size // 2 for size in share.shape[1:])
    band = share[:, middle[0] - REACH : middle[0] + REACH + 1]
    column = share[:, :, middle[1] - REACH : middle[1] + REACH + 1]
    largest = np.sort(share.reshape(len(share), -1), axis=1)[:, :-4:-1]
    logarithmic = np.maximum(0, CUTOFF + np.log(band, where=band > 0, out=np.full_like(band, -np.inf)))
    weighted = moments(band)
    log_weighted = moments(logarithmic)
    time_mean = (share * time).sum((1, 2))
    return {
        "energy": total,
        "hits": np.count_nonzero(share, axis=(1, 2)).astype(np.float64),
        "band_hits": np.count_nonzero(band, axis=(1, 2)).astype(np.float64),
        **{f"e{(2 * reach + 1) ** 2}": square(share, reach) for reach in (0, 1, 2)},
        **dict(zip(("first", "second", "third"), largest.T, strict=True)),
        **sides("phi", band.sum(1)),
        **sides("eta", column.sum(2), steps=STEPS[:3], arms=()),
        **{name: np.abs(weighted[name]) for name in ("phi_mean", "eta_mean", "phi_skew", "eta_skew", "tilt")},
        **{name: weighted[name] for name in ("phi_width", "eta_width")},
        **{f"{axis}_log_width": log_weighted[f"{axis}_width"] for axis in ("phi", "eta")},
        "time_mean": np.abs(time_mean),
        "time_width": np.sqrt((share * (time - time_mean[:, None, None]) ** 2).sum((1, 2))),
    }


def shape_matrix(image: npt.NDArray[np.float32]) -> Floats:
    """Return `shower_shapes` of images (batch, ieta, iphi, channel) as columns: float64 (batch, shape)."""
    return np.column_stack(list(shower_shapes(image).values()))


def centred(image: Floats) -> Floats:
    """Return the largest window with the cell (ieta // 2, iphi // 2) in its middle."""
    for axis in (1, 2):
        size = image.shape[axis]
        reach = (size - 1) // 2
        image = image.take(range(size // 2 - reach, size // 2 + reach + 1), axis)
    return image


def square(share: Floats, reach: int) -> Floats:
    """Return the sum over the cells that are at most `reach` rows and columns from the middle."""
    row, column = (size // 2 for size in share.shape[1:])
    cells = share[:, row - reach : row + reach + 1, column - reach : column + reach + 1]
    total: Floats = cells.sum((1, 2))
    return total


def sides(
    axis: str, profile: Floats, steps: tuple[int, ...] = STEPS, arms: tuple[tuple[int, int], ...] = ARMS
) -> Mapping[str, Floats]:
    """Return sums and absolute differences of the two sides of a profile (batch, cell), at steps from its middle."""
    middle = profile.shape[1] // 2
    ranges = {**{f"{axis}_{k}": (k, k) for k in steps}, **{f"{axis}_{near}_{far}": (near, far) for near, far in arms}}
    found: dict[str, Floats] = {}
    for name, (near, far) in ranges.items():
        before = profile[:, middle - far : middle - near + 1].sum(1)
        after = profile[:, middle + near : middle + far + 1].sum(1)
        found |= {name: before + after, f"{name}_difference": np.abs(before - after)}
    return found


def moments(weight: Floats) -> dict[str, Floats]:
    """Return mean, width and skewness along both axes, and the covariance, of weights (batch, ieta, iphi); in cells."""
    total = weight.sum((1, 2))
    weight = weight / np.where(total > 0, total, 1)[:, None, None]
    found: dict[str, Floats] = {}
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
        found |= {f"{name}_mean": mean, f"{name}_width": width, f"{name}_skew": skew}
        distances[name] = distance
    found["tilt"] = np.einsum("nrc,nr,nc->n", weight, distances["eta"], distances["phi"])
    return found
