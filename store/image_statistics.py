"""Statistics of images by class and channel: small values that add up, so that parts of a store can be done alone."""

from dataclasses import dataclass, fields
from typing import cast

import numpy as np
import numpy.typing as npt
import xarray as xr

from store.compiled.accumulate import MANTISSA_BITS, accumulate
from store.datasets import DatasetSpec

KEYS = 1 << (9 + MANTISSA_BITS)
PROBABILITIES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
BINS_PER_OCTAVE = 4
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
    sums
        float64 (class, ieta, iphi, channel, 2), sums of values and of their squares, side by side in memory.
    minimum, maximum
        float64 (class, channel), of the non-zero values.
    keys
        int64 (class, channel, 131072), how many non-zero values have each key; a key is the leading bits of a value's
        float32 pattern, mapped so that keys are in the order of values.
    """

    images: npt.NDArray[np.int64]
    empty: npt.NDArray[np.int64]
    sums: Floats
    minimum: Floats
    maximum: Floats
    keys: npt.NDArray[np.int64]

    @classmethod
    def zero(cls, spec: DatasetSpec) -> "Statistics":
        """Return the statistics of no images."""
        classes, channels = len(spec.classes), len(spec.channels)
        pixels = (classes, *spec.image_shape)
        return cls(
            images=np.zeros(classes, np.int64),
            empty=np.zeros(classes, np.int64),
            sums=np.zeros((*pixels, 2)),
            minimum=np.full((classes, channels), np.inf),
            maximum=np.full((classes, channels), -np.inf),
            keys=np.zeros((classes, channels, KEYS), np.int64),
        )

    def add(self, images: npt.NDArray[np.float32], label: npt.NDArray[np.uint8]) -> None:
        """Count in some images, float32 (n, ieta, iphi, channel), and their classes, uint8 (n,), in place."""
        accumulate(
            images.reshape(len(images), self.sums[0, ..., 0].size),
            label,
            self.images,
            self.empty,
            self.sums.reshape(len(self.sums), -1, 2),
            self.minimum,
            self.maximum,
            self.keys,
        )

    def __add__(self, other: "Statistics") -> "Statistics":
        pairs = {field.name: (getattr(self, field.name), getattr(other, field.name)) for field in fields(self)}
        special = {"minimum": np.minimum, "maximum": np.maximum}
        return Statistics(**{name: special.get(name, np.add)(a, b) for name, (a, b) in pairs.items()})




def key_edges() -> Floats:
    """Return the smallest value of each key and, last, infinity: float64 (131073,), ascending."""
    pattern = np.arange(KEYS, dtype=np.uint32) << np.uint32(23 - MANTISSA_BITS)
    negative = pattern < 0x80000000
    lowest = np.where(negative, ~pattern, pattern & np.uint32(0x7FFFFFFF)).view(np.float32)
    with np.errstate(invalid="ignore"):  # the first and last keys are NaNs
        lowest = lowest.astype(np.float64)
    return np.append(np.nan_to_num(lowest, nan=np.inf), np.inf)


def to_dataset(statistics: Statistics, spec: DatasetSpec) -> xr.Dataset:
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
    s, pixels = statistics, spec.image_shape[0] * spec.image_shape[1]
    images = s.images[:, None, None, None]
    sums, squares = s.sums[..., 0], s.sums[..., 1]
    mean_image = sums / images
    count = np.repeat(s.images[:, None] * pixels, len(spec.channels), axis=1)
    total, square = sums.sum(axis=(1, 2)), squares.sum(axis=(1, 2))
    mean, pooled_mean = total / count, total.sum(0) / count.sum(0)
    nonzero_count = s.keys.sum(axis=2)
    zero = np.where(nonzero_count < count, 0.0, np.nan)
    minimum, maximum = np.fmin(s.minimum, zero), np.fmax(s.maximum, zero)
    lower, upper, histogram = _histogram(s.keys)
    by, image = ("class", "channel"), ("class", "ieta", "iphi", "channel")
    dataset = xr.Dataset(
        {
            "images": ("class", s.images, {"long_name": "images"}),
            "empty_images": ("class", s.empty, {"long_name": "images without any hit"}),
            "count": (by, count, {"long_name": "pixels"}),
            "mean": (by, mean, {"long_name": "mean over all pixels"}),
            "std": (by, _std(square, mean, count), {"long_name": "standard deviation over all pixels"}),
            "minimum": (by, minimum, {"long_name": "minimum"}),
            "maximum": (by, maximum, {"long_name": "maximum"}),
            "nonzero_share": (by, nonzero_count / count, {"long_name": "share of pixels that are not zero"}),
            "quantile": ((*by, "probability"), _quantiles(s), {"long_name": "quantile of the non-zero values"}),
            "histogram": ((*by, "bin"), histogram, {"long_name": "non-zero values in each bin"}),
            "mean_image": (image, mean_image, {"long_name": "mean image"}),
            "std_image": (image, _std(squares, mean_image, images), {"long_name": "standard deviation of each pixel"}),
            "pooled_mean": ("channel", pooled_mean, {"long_name": "mean over all pixels, classes pooled"}),
            "pooled_std": (
                "channel",
                _std(square.sum(0), pooled_mean, count.sum(0)),
                {"long_name": "standard deviation over all pixels, classes pooled"},
            ),
            "pooled_minimum": ("channel", minimum.min(0), {"long_name": "minimum, classes pooled"}),
            "pooled_maximum": ("channel", maximum.max(0), {"long_name": "maximum, classes pooled"}),
        },
        {
            "class": np.array(spec.classes, dtype=np.dtypes.StringDType()),
            "channel": np.array([channel.name for channel in spec.channels], dtype=np.dtypes.StringDType()),
            "ieta": (np.arange(spec.image_shape[0]) - spec.seed[0]).astype(np.int16),
            "iphi": (np.arange(spec.image_shape[1]) - spec.seed[1]).astype(np.int16),
            "probability": np.array(PROBABILITIES),
            "bin_lower": ("bin", lower),
            "bin_upper": ("bin", upper),
        },
        {"title": f"Statistics of the training split, values as in the source files: {spec.title}"},
    )
    for variable in dataset.variables.values():
        if np.issubdtype(variable.dtype, np.number):
            variable.attrs["units"] = "1"
    return dataset


def _std(square: Floats, mean: Floats, count: npt.NDArray[np.int64]) -> Floats:
    return np.sqrt(np.maximum(square / count - mean**2, 0.0))


def _quantiles(s: Statistics) -> Floats:
    """Return float64 (class, channel, probability) of the non-zero values: linear inside a key's bin."""
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
