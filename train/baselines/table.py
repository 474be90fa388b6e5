"""The features that baselines are trained on: shower shapes, or per-sample variables of a store."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from store.arrays import Float64Array, Int64Array, UInt8Array
from store.errors import ConfigError, CorruptStoreError
from train.baselines.shower_shapes import shower_shape_matrix
from train.variables import check_variables, read_variables

if TYPE_CHECKING:
    from store.opening import Store

BATCH_SIZE = 1024  # images whose shower shapes are computed at once


@dataclass(frozen=True, kw_only=True)
class FeatureTable:
    """Features and labels of the samples of a split.

    Attributes
    ----------
    feature
        float64 (n, feature): shower shapes in the order of `train.baselines.shower_shapes.compute_shower_shapes`, or
        variables of the store.
    label
        uint8 (n,), class of each sample.
    sample
        int64 (n,), position of each sample in the store.
    """

    feature: Float64Array
    label: UInt8Array
    sample: Int64Array


def check_features(store: "Store", variables: Sequence[str]) -> None:
    """Check that a store has the named variables, or, if none are named, images that have shower shapes.

    Raises
    ------
    ConfigError
        If the store has no such variable, or no images of energy and time.
    """
    check_variables(variables, store)
    channels = [channel.name for channel in store.spec.channels]
    if not variables and channels != ["energy", "time"]:
        known = ",".join(variable.name for variable in store.spec.variables)
        hint = f"; --variables {known} needs no images" if known else ""
        raise ConfigError(f"shower shapes need channels energy, time; {store.path} has {', '.join(channels)}{hint}")


def read_features(store: "Store", split: str, variables: Sequence[str] = ()) -> FeatureTable:
    """Read the named variables of a split, or, if none are named, compute the shower shapes of its images.

    Raises
    ------
    ConfigError
        If the store has no such features, see `check_features`.
    CorruptStoreError
        If a feature is not finite.
    """
    check_features(store, variables)
    if variables:
        start, stop = store.split_range(split)
        feature = read_variables(variables, store.path)[start:stop].astype(np.float64)
        label, sample = np.asarray(store.group["label"][start:stop]), np.arange(start, stop)  # type: ignore[index]
        return _checked(store, FeatureTable(feature=feature, label=label, sample=sample))
    from store.stream import BatchStream

    stream = BatchStream(store.path, split=split, batch_size=BATCH_SIZE, shuffle="none")
    parts = [(shower_shape_matrix(batch.image), batch.label, batch.sample) for batch in stream]
    feature, label, sample = (np.concatenate(column) for column in zip(*parts, strict=True))
    return _checked(store, FeatureTable(feature=feature, label=label, sample=sample))


def _checked(store: "Store", table: FeatureTable) -> FeatureTable:
    """Return a table after checking that its features are finite, as those of every store are that is not damaged."""
    finite = np.isfinite(table.feature).all(axis=1)
    if not finite.all():
        raise CorruptStoreError(
            f"{store.path}: sample {table.sample[np.argmin(finite)]} has features that are not finite; "
            "`ingest verify` finds what is damaged"
        )
    return table
