"""The features that baselines are trained on: computed from the images, or per-sample variables of a store."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from store.arrays import Float32Array, Float64Array, Int64Array, UInt8Array
from store.datasets import DatasetSpec
from store.errors import CorruptStoreError
from train.baselines.image_moments import image_moment_matrix
from train.baselines.shower_shapes import SMALLEST, shower_shape_matrix
from train.variables import check_variables, read_variables

if TYPE_CHECKING:
    from store.opening import Store

BATCH_SIZE = 1024  # images whose features are computed at once
BATCH_BYTES = 1 << 25  # their size, which holds fewer of large images
VARIABLES = "variables"
SHOWER_SHAPES = "shower shapes"
IMAGE_MOMENTS = "image moments"
IMAGE_FEATURES: dict[str, Callable[[Float32Array], Float64Array]] = {
    SHOWER_SHAPES: shower_shape_matrix,
    IMAGE_MOMENTS: image_moment_matrix,
}
"""How the features (n, feature) of images float32 (n, ieta, iphi, channel) are computed, by kind of features."""


@dataclass(frozen=True, kw_only=True)
class FeatureTable:
    """Features and labels of the samples of a split.

    Attributes
    ----------
    feature
        float64 (n, feature): features of the images in the order of `train.baselines.shower_shapes` or
        `train.baselines.image_moments`, or variables of the store.
    label
        uint8 (n,), class of each sample.
    sample
        int64 (n,), position of each sample in the store.
    weight
        float32 (n,), weight of each sample, or None if all count the same.
    """

    feature: Float64Array
    label: UInt8Array
    sample: Int64Array
    weight: Float32Array | None = None

    @property
    def positive_weight(self) -> Float32Array | None:
        """Weights for a method that cannot take negative ones, which count as zero."""
        return None if self.weight is None else np.maximum(self.weight, 0)

    def first(self, samples: int) -> "FeatureTable":
        """Return the first samples; 0 for all."""
        kept = slice(samples or None)
        weight = None if self.weight is None else self.weight[kept]
        return FeatureTable(feature=self.feature[kept], label=self.label[kept], sample=self.sample[kept], weight=weight)


def choose_features(spec: DatasetSpec, variables: Sequence[str]) -> str:
    """Return the kind of features that a baseline is trained on.

    It is the named variables, if any are named; shower shapes for images of energy and time that are large enough and
    have the seed in the cell (ieta // 2, iphi // 2); otherwise image moments.
    """
    if variables:
        return VARIABLES
    ieta, iphi, _ = spec.image_shape
    is_shower = [channel.name for channel in spec.channels] == ["energy", "time"]
    is_large = ieta >= SMALLEST[0] and iphi >= SMALLEST[1]
    return SHOWER_SHAPES if is_shower and is_large and spec.seed == (ieta // 2, iphi // 2) else IMAGE_MOMENTS


def read_features(
    store: "Store", split: str, variables: Sequence[str] = (), weights: Float32Array | None = None
) -> FeatureTable:
    """Read the named variables of a split, or, if none are named, compute the features of its images.

    Parameters
    ----------
    store
        The store.
    split
        Name of the split.
    variables
        Names of variables of the store.
    weights
        Weight of every sample of the store, see `train.weighting.read_weights`; None if all count the same.

    Raises
    ------
    ConfigError
        If the store has no such variable.
    CorruptStoreError
        If a feature is not finite.
    """
    check_variables(variables, store)
    kind = choose_features(store.spec, variables)
    start, stop = store.split_range(split)
    weight = None if weights is None else weights[start:stop]
    if kind == VARIABLES:
        feature = read_variables(variables, store.path)[start:stop].astype(np.float64)
        label, sample = np.asarray(store.group["label"][start:stop]), np.arange(start, stop)  # type: ignore[index]
        return _checked(store, FeatureTable(feature=feature, label=label, sample=sample, weight=weight))
    from store.stream import BatchStream
    from train.progress import watch_images

    size = max(1, min(BATCH_SIZE, BATCH_BYTES // store.spec.sample_bytes))
    stream = BatchStream(store.path, split=split, batch_size=size, shuffle="none")
    parts = []
    with watch_images(f"{kind}, {split}", stop - start) as advance:
        for batch in stream:
            parts.append((IMAGE_FEATURES[kind](batch.image), batch.label, batch.sample))
            advance(len(batch.label))
    feature, label, sample = (np.concatenate(column) for column in zip(*parts, strict=True))
    return _checked(store, FeatureTable(feature=feature, label=label, sample=sample, weight=weight))


def _checked(store: "Store", table: FeatureTable) -> FeatureTable:
    """Return a table after checking that its features are finite, as those of every store are that is not damaged."""
    finite = np.isfinite(table.feature).all(axis=1)
    if not finite.all():
        raise CorruptStoreError(
            f"{store.path}: sample {table.sample[np.argmin(finite)]} has features that are not finite; "
            "`ingest verify` finds what is damaged"
        )
    return table
