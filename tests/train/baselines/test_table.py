from pathlib import Path

import numpy as np
import pytest

from store.arrays import Float32Array, Float64Array
from store.errors import ConfigError, CorruptStoreError
from store.opening import open_dataset, open_store
from train.baselines.shower_shapes import shower_shape_matrix
from train.baselines.table import check_features, read_features


def test_shower_shapes_are_those_of_the_split(showers: Path) -> None:
    table = read_features(open_store(showers), "validation")
    split = open_dataset(showers, split="validation")
    np.testing.assert_array_equal(table.feature, shower_shape_matrix(split.image.values))
    np.testing.assert_array_equal(table.label, split.label)
    start, stop = open_store(showers).split_range("validation")
    np.testing.assert_array_equal(table.sample, np.arange(start, stop))


def test_variables_are_those_of_the_split(jets: Path) -> None:
    table = read_features(open_store(jets), "test", ("m0", "pt"))
    split = open_dataset(jets, split="test")
    assert table.feature.dtype == np.float64
    np.testing.assert_array_equal(table.feature, np.column_stack([split.m0, split.pt]))
    np.testing.assert_array_equal(table.label, split.label)
    np.testing.assert_array_equal(table.sample, np.arange(*open_store(jets).split_range("test")))


def test_names_features_that_a_store_does_not_have(showers: Path, jets: Path) -> None:
    with pytest.raises(ConfigError, match=r"unknown variable 'pt'; .* has no variables"):
        read_features(open_store(showers), "train", ("pt",))
    with pytest.raises(ConfigError, match=r"shower shapes need channels energy, time; .* --variables pt,m0 needs no"):
        check_features(open_store(jets), ())


def test_images_that_are_not_finite_are_named(showers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def shapes(image: Float32Array) -> Float64Array:
        feature = np.zeros((len(image), 3))
        feature[5, 1] = np.nan
        return feature

    monkeypatch.setattr("train.baselines.table.shower_shape_matrix", shapes)
    with pytest.raises(CorruptStoreError, match=r"sample 245 has features that are not finite; `ingest verify`"):
        read_features(open_store(showers), "validation")
