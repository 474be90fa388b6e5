"""Statistics of images by class and channel: small values that add up, so that parts of a store can be done alone."""

from dataclasses import dataclass, fields
from typing import cast

import numba
import numpy as np
import numpy.typing as npt
import xarray as xr

from store.schema import Description

MANTISSA_BITS = 8  # kept in a key: two values with the same key differ by at most 1 part in 256
KEYS = 1 << (9 + MANTISSA_BITS)
PROBABILITIES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
BINS_PER_OCTAVE = 4
MAGNITUDE = np.uint32(0x7FFFFFFF)  # all bits of a value but its sign
SIGN = np.uint32(0x80000000)
GROUP = 8  # values looked at together: most groups are all zeros
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """Sums over images, float64 or int64; ``a + b`` are the sums over both.

    The square of a float32 is exact in float64, and pixel means are of the order of their standard deviations or below,
    so that plain sums lose nothing that matters.

    Attributes
    ----------
    images, empty
        int64 (class,), images, and those of them without any non-zero value.
    sum, square
        float64 (class, ieta, iphi, channel), sums of values and of their squares.
    minimum, maximum
        float64 (class, channel).
    keys
        int64 (class, channel, 131072), how many non-zero values have each key; a key is the leading bits of a value's
        float32 pattern, mapped so that keys are in the order of values.
    """

    images: npt.NDArray[np.int64]
    empty: npt.NDArray[np.int64]
    sum: Floats
    square: Floats
    minimum: Floats
    maximum: Floats
    keys: npt.NDArray[np.int64]

    @classmethod
    def zero(cls, description: Description) -> "Statistics":
        """Return the statistics of no images."""
        classes, channels = len(description.classes), len(description.channels)
        pixels = (classes, *description.image_shape)
        return cls(
            images=np.zeros(classes, np.int64),
            empty=np.zeros(classes, np.int64),
            sum=np.zeros(pixels),
            square=np.zeros(pixels),
            minimum=np.full((classes, channels), np.inf),
            maximum=np.full((classes, channels), -np.inf),
            keys=np.zeros((classes, channels, KEYS), np.int64),
        )

    def add(self, images: npt.NDArray[np.float32], label: npt.NDArray[np.uint8]) -> None:
        """Count in some images, float32 (n, ieta, iphi, channel), and their classes, uint8 (n,), in place."""
        _add(
            images.reshape(len(images), self.sum[0].size),
            label,
            self.images,
            self.empty,
            self.sum.reshape(len(self.sum), -1),
            self.square.reshape(len(self.square), -1),
            self.minimum,
            self.maximum,
            self.keys,
        )

    def __add__(self, other: "Statistics") -> "Statistics":
        pairs = {field.name: (getattr(self, field.name), getattr(other, field.name)) for field in fields(self)}
        special = {"minimum": np.minimum, "maximum": np.maximum}
        return Statistics(**{name: special.get(name, np.add)(a, b) for name, (a, b) in pairs.items()})


@numba.njit(cache=True, nogil=True)
def _add(images, label, count, empty, total, square, minimum, maximum, keys):
    channels = minimum.shape[1]
    pixels = images.shape[1]
    bits = images.view(np.uint32)
    channel_of = np.arange(pixels) % channels
    hit = np.empty(pixels + 1, np.int64)
    hits = np.zeros(channels, np.int64)
    for k in range(images.shape[0]):
        c = label[k]
        row, pattern = images[k], bits[k]
        of_pixel, squares, low, high, of_key = total[c], square[c], minimum[c], maximum[c], keys[c]
        found = _find_hits(pattern, hit)
        hits[:] = 0
        for i in range(found):
            p = hit[i]
            channel = channel_of[p]
            value = np.float64(row[p])
            hits[channel] += 1
            of_pixel[p] += value
            squares[p] += value * value
            if value < low[channel]:
                low[channel] = value
            if value > high[channel]:
                high[channel] = value
            sign = np.uint32(np.int32(pattern[p]) >> 31)  # all ones for negative values
            of_key[channel, (pattern[p] ^ (sign | SIGN)) >> np.uint32(23 - MANTISSA_BITS)] += 1
        count[c] += 1
        empty[c] += found == 0
        for channel in range(channels):
            if hits[channel] * channels < pixels:
                minimum[c, channel] = min(minimum[c, channel], 0.0)
                maximum[c, channel] = max(maximum[c, channel], 0.0)


@numba.njit(cache=True, nogil=True)
def _find_hits(bits, hit):
    """Write the places of non-zero values into `hit` and return how many there are, without unforeseeable branches."""
    found = 0
    whole = bits.size // GROUP
    for group in range(whole):
        first = group * GROUP
        occupied = np.uint32(0)
        for p in range(GROUP):
            occupied |= bits[first + p]
        if occupied & MAGNITUDE == 0:
            continue
        for p in range(GROUP):
            hit[found] = first + p
            found += (bits[first + p] & MAGNITUDE) != 0
    for p in range(whole * GROUP, bits.size):
        hit[found] = p
        found += (bits[p] & MAGNITUDE) != 0
    return found


def key_edges() -> Floats:
    """Return the smallest value of each key and, last, infinity: float64 (131073,), ascending."""
    pattern = np.arange(KEYS, dtype=np.uint32) << np.uint32(23 - MANTISSA_BITS)
    negative = pattern < 0x80000000
    lowest = np.where(negative, ~pattern, pattern & np.uint32(0x7FFFFFFF)).view(np.float32)
    with np.errstate(invalid="ignore"):  # the first and last keys are NaNs
        lowest = lowest.astype(np.float64)
    return np.append(np.nan_to_num(lowest, nan=np.inf), np.inf)


def to_dataset(statistics: Statistics, description: Description) -> xr.Dataset:
    """Return what is stored in the group ``statistics``.

    Returns
    -------
    xarray.Dataset
        By (class, channel): ``count`` values, ``mean``, ``std`` (population), ``minimum``, ``maximum``,
        ``nonzero_share``, ``quantile`` (also by ``probability``) and ``histogram`` (by ``bin``, between ``bin_lower``
        and ``bin_upper``) of the non-zero values. By class: ``images``, ``empty_images``, and ``mean_image`` and
        ``std_image`` (class, ieta, iphi, channel). By channel, classes pooled: ``pooled_mean``, ``pooled_std``,
        ``pooled_minimum``, ``pooled_maximum``. Quantiles are exact to 1 part in 256, all else to rounding in float64.
    """
    s, pixels = statistics, description.image_shape[0] * description.image_shape[1]
    images = s.images[:, None, None, None]
    mean_image = s.sum / images
    count = np.repeat(s.images[:, None] * pixels, len(description.channels), axis=1)
    total, square = s.sum.sum(axis=(1, 2)), s.square.sum(axis=(1, 2))
    mean, pooled_mean = total / count, total.sum(0) / count.sum(0)
    lower, upper, histogram = _histogram(s.keys)
    by, image = ("class", "channel"), ("class", "ieta", "iphi", "channel")
    dataset = xr.Dataset(
        {
            "images": ("class", s.images, {"long_name": "images"}),
            "empty_images": ("class", s.empty, {"long_name": "images without any hit"}),
            "count": (by, count, {"long_name": "pixels"}),
            "mean": (by, mean, {"long_name": "mean over all pixels"}),
            "std": (by, _std(square, mean, count), {"long_name": "standard deviation over all pixels"}),
            "minimum": (by, s.minimum, {"long_name": "minimum"}),
            "maximum": (by, s.maximum, {"long_name": "maximum"}),
            "nonzero_share": (by, s.keys.sum(axis=2) / count, {"long_name": "share of pixels that are not zero"}),
            "quantile": ((*by, "probability"), _quantiles(s), {"long_name": "quantile of the non-zero values"}),
            "histogram": ((*by, "bin"), histogram, {"long_name": "non-zero values in each bin"}),
            "mean_image": (image, mean_image, {"long_name": "mean image"}),
            "std_image": (image, _std(s.square, mean_image, images), {"long_name": "standard deviation of each pixel"}),
            "pooled_mean": ("channel", pooled_mean, {"long_name": "mean over all pixels, classes pooled"}),
            "pooled_std": (
                "channel",
                _std(square.sum(0), pooled_mean, count.sum(0)),
                {"long_name": "standard deviation over all pixels, classes pooled"},
            ),
            "pooled_minimum": ("channel", s.minimum.min(0), {"long_name": "minimum, classes pooled"}),
            "pooled_maximum": ("channel", s.maximum.max(0), {"long_name": "maximum, classes pooled"}),
        },
        {
            "class": np.array(description.classes, dtype=np.dtypes.StringDType()),
            "channel": np.array([channel.name for channel in description.channels], dtype=np.dtypes.StringDType()),
            "ieta": (np.arange(description.image_shape[0]) - description.seed[0]).astype(np.int16),
            "iphi": (np.arange(description.image_shape[1]) - description.seed[1]).astype(np.int16),
            "probability": np.array(PROBABILITIES),
            "bin_lower": ("bin", lower),
            "bin_upper": ("bin", upper),
        },
        {"title": f"Statistics of the training split, values as in the source files: {description.title}"},
    )
    for variable in dataset.variables.values():
        if np.issubdtype(variable.dtype, np.number):
            variable.attrs["units"] = "1"
    return dataset


def _std(square: Floats, mean: Floats, count: npt.NDArray[np.int64]) -> Floats:
    return np.sqrt(np.maximum(square / count - mean**2, 0.0))


def _quantiles(s: Statistics) -> Floats:
    """Return float64 (class, channel, probability): linear inside a key's bin, inside [minimum, maximum]."""
    edges = key_edges()
    out = np.full((*s.minimum.shape, len(PROBABILITIES)), np.nan)
    for at in np.ndindex(s.minimum.shape):
        occupied = np.flatnonzero(s.keys[at])
        if occupied.size:
            below = np.concatenate([[0], np.cumsum(s.keys[at][occupied])])
            rank = np.array(PROBABILITIES) * below[-1]
            bin_ = np.clip(np.searchsorted(below, rank, side="right") - 1, 0, occupied.size - 1)
            inside = (rank - below[bin_]) / (below[bin_ + 1] - below[bin_])
            low, high = edges[occupied[bin_]], edges[occupied[bin_] + 1]
            out[at] = np.clip(low + inside * (high - low), s.minimum[at], s.maximum[at])
    return out


def _histogram(
    keys: npt.NDArray[np.int64],
) -> tuple[Floats, Floats, npt.NDArray[np.int64]]:
    """Return lower and upper edges (bin,) and counts (class, channel, bin), four bins an octave, where anything is."""
    step = (1 << MANTISSA_BITS) // BINS_PER_OCTAVE
    coarse = keys.reshape(*keys.shape[:2], -1, step).sum(axis=3)
    edges = key_edges()[::step]
    used = np.flatnonzero(coarse.sum(axis=(0, 1)))
    return edges[used], edges[used + 1], cast("npt.NDArray[np.int64]", coarse[:, :, used])
