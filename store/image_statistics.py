"""Statistics of images by class and channel, accumulated over parts of a store that are read separately."""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from store.arrays import Float32Array, Float64Array, Int64Array, UInt8Array
from store.compiled.accumulate import MANTISSA_BITS, OCTAVES, accumulate
from store.datasets import DatasetSpec

KEYS_PER_OCTAVE = 1 << MANTISSA_BITS
PROBABILITIES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
BINS_PER_OCTAVE = 4


@dataclass(eq=False, kw_only=True)
class ImageStatistics:
    """An accumulator of sums over images: `update` adds images in place, ``a + b`` returns the sums over both.

    The square of a float32 is exact in float64, and the mean of a pixel is of the order of its standard deviation or
    smaller, so simple sums lose no relevant precision.

    Attributes
    ----------
    images
        int64 (class,), number of images.
    empty
        int64 (class,), number of images in which all values are zero.
    sums
        float64 (class, ieta, iphi, channel, 2), sum of the values and sum of their squares.
    minimum, maximum
        float64 (class, channel), of the non-zero values; infinite where there are none.
    octave_row
        int64 (class, channel, 512), row of `keys` for the values of each sign and exponent, or -1 where there are none.
    keys
        int64 (row, 256), number of non-zero values with each key. A key consists of the leading bits of a value's
        float32 pattern, sign, exponent and 8 bits of the mantissa, changed such that keys have the same order as
        values. Only octaves with values have a row, since there may be hundreds of channels; the last rows may be
        unused.
    """

    images: Int64Array
    empty: Int64Array
    sums: Float64Array
    minimum: Float64Array
    maximum: Float64Array
    octave_row: Int64Array
    keys: Int64Array

    @classmethod
    def zero(cls, spec: DatasetSpec) -> "ImageStatistics":
        """Return the statistics of no images."""
        classes, channels = len(spec.classes), len(spec.channels)
        pixels = (classes, *spec.image_shape)
        return cls(
            images=np.zeros(classes, np.int64),
            empty=np.zeros(classes, np.int64),
            sums=np.zeros((*pixels, 2)),
            minimum=np.full((classes, channels), np.inf),
            maximum=np.full((classes, channels), -np.inf),
            octave_row=np.full((classes, channels, OCTAVES), -1),
            keys=np.zeros((0, KEYS_PER_OCTAVE), np.int64),
        )

    def update(self, images: Float32Array, label: UInt8Array) -> None:
        """Add images to the sums.

        Parameters
        ----------
        images
            float32 (n, ieta, iphi, channel), C-contiguous.
        label
            uint8 (n,), class of each image.

        Raises
        ------
        ValueError
            If a label is not a class.
        """
        if label.size and label.max() >= len(self.images):
            raise ValueError(f"label {label.max()}: labels must be below {len(self.images)}")
        images = images.reshape(len(images), self.sums[0, ..., 0].size)
        added, used = 0, int(self.octave_row.max()) + 1
        while added < len(images):
            count, used = accumulate(
                images[added:],
                label[added:],
                self.images,
                self.empty,
                self.sums.reshape(len(self.sums), -1, 2),
                self.minimum,
                self.maximum,
                self.octave_row,
                self.keys,
                used,
            )
            added += count
            if added < len(images):
                most = min(images.shape[1], OCTAVES * self.minimum.shape[1])  # new rows for one image
                keys = np.zeros((len(self.keys) + max(len(self.keys), most), KEYS_PER_OCTAVE), np.int64)
                keys[: len(self.keys)] = self.keys  # rows that are never written take no memory
                self.keys = keys

    def __add__(self, other: "ImageStatistics") -> "ImageStatistics":
        occupied = (self.octave_row >= 0) | (other.octave_row >= 0)
        octave_row = np.where(occupied, np.cumsum(occupied).reshape(occupied.shape) - 1, -1)
        keys = np.zeros((np.count_nonzero(occupied), KEYS_PER_OCTAVE), np.int64)
        for part in (self, other):
            own = part.octave_row >= 0
            keys[octave_row[own]] += part.keys[part.octave_row[own]]
        return ImageStatistics(
            images=self.images + other.images,
            empty=self.empty + other.empty,
            sums=self.sums + other.sums,
            minimum=np.minimum(self.minimum, other.minimum),
            maximum=np.maximum(self.maximum, other.maximum),
            octave_row=octave_row,
            keys=keys,
        )

    def count_keys(self, bins: int) -> Int64Array:
        """Return the number of non-zero values in equal parts of each octave: int64 (class, channel, 512 * bins)."""
        counts = self.keys.reshape(-1, bins, KEYS_PER_OCTAVE // bins).sum(axis=2)
        none = np.zeros((1, bins), np.int64)  # the last row, which -1 stands for
        return np.concatenate([counts, none])[self.octave_row].reshape(*self.minimum.shape, -1)


def key_edges() -> Float64Array:
    """Return the lower edge of each key, ascending, and infinity at the end: float64 (131073,)."""
    pattern = np.arange(OCTAVES * KEYS_PER_OCTAVE, dtype=np.uint32) << np.uint32(23 - MANTISSA_BITS)
    negative = pattern < 0x80000000
    lowest = np.where(negative, ~pattern, pattern & np.uint32(0x7FFFFFFF)).view(np.float32)
    with np.errstate(invalid="ignore"):  # the first and last keys are NaNs
        lowest = lowest.astype(np.float64)
    return np.append(np.nan_to_num(lowest, nan=np.inf), np.inf)


def to_dataset(statistics: ImageStatistics, spec: DatasetSpec) -> xr.Dataset:
    """Return the image part of a store's group ``statistics``.

    Parameters
    ----------
    statistics
        Sums over the images of the training split, with at least one image of each class.
    spec
        The data set.

    Returns
    -------
    xarray.Dataset
        By (class, channel): ``count`` values, ``mean``, ``std`` (population), ``minimum``, ``maximum``,
        ``nonzero_share``, ``quantile`` (also by ``probability``) and ``histogram`` (by ``bin``, between ``bin_lower``
        and ``bin_upper``) of the non-zero values. By class: ``images``, ``empty_images``, and ``mean_image`` and
        ``std_image`` (class, ieta, iphi, channel). By channel, with the classes pooled: ``pooled_mean``,
        ``pooled_std``, ``pooled_minimum``, ``pooled_maximum``. Quantiles are within 1/256 of the exact values,
        everything else is exact up to rounding in float64.
    """
    s, pixels = statistics, spec.image_shape[0] * spec.image_shape[1]
    images = s.images[:, None, None, None]
    sums, squares = s.sums[..., 0], s.sums[..., 1]
    mean_image = sums / images
    count = np.repeat(s.images[:, None] * pixels, len(spec.channels), axis=1)
    total, square = sums.sum(axis=(1, 2)), squares.sum(axis=(1, 2))
    mean, pooled_mean = total / count, total.sum(0) / count.sum(0)
    nonzero_count = s.count_keys(1).sum(axis=2)
    zero = np.where(nonzero_count < count, 0.0, np.nan)
    minimum, maximum = np.fmin(s.minimum, zero), np.fmax(s.maximum, zero)
    lower, upper, histogram = _histogram(s)
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


def _std(squares: Float64Array, mean: Float64Array, count: Int64Array) -> Float64Array:
    return np.sqrt(np.maximum(squares / count - mean**2, 0.0))


def _quantiles(statistics: ImageStatistics) -> Float64Array:
    """Return quantiles of the non-zero values, interpolated linearly within keys: (class, channel, probability)."""
    edges, s = key_edges(), statistics
    quantiles = np.full((*s.minimum.shape, len(PROBABILITIES)), np.nan)
    for index in np.ndindex(s.minimum.shape):
        octaves = np.flatnonzero(s.octave_row[index] >= 0)
        if octaves.size:
            counts = s.keys[s.octave_row[index][octaves]]
            octave, part = np.nonzero(counts)
            occupied = octaves[octave] * KEYS_PER_OCTAVE + part
            below = np.concatenate([[0], np.cumsum(counts[octave, part])])
            rank = np.array(PROBABILITIES) * below[-1]
            key = np.clip(np.searchsorted(below, rank, side="right") - 1, 0, occupied.size - 1)
            fraction = (rank - below[key]) / (below[key + 1] - below[key])
            low, high = edges[occupied[key]], edges[occupied[key] + 1]
            quantiles[index] = np.clip(low + fraction * (high - low), s.minimum[index], s.maximum[index])
    return quantiles


def _histogram(statistics: ImageStatistics) -> tuple[Float64Array, Float64Array, Int64Array]:
    """Return lower and upper edges (bin,) and counts (class, channel, bin) of the bins that are not empty."""
    counts = statistics.count_keys(BINS_PER_OCTAVE)
    edges = key_edges()[:: KEYS_PER_OCTAVE // BINS_PER_OCTAVE]
    used = np.flatnonzero(counts.sum(axis=(0, 1)))
    return edges[used], edges[used + 1], counts[:, :, used]
