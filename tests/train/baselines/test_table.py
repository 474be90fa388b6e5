from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from store.arrays import Float32Array, Float64Array
from store.datasets import ELECTRON_PHOTON, QUARK_GLUON
from store.errors import ConfigError, CorruptStoreError
from store.opening import open_dataset, open_store
from tests.examples import shape_spec
from train.baselines.image_moments import image_moment_matrix
from train.baselines.shower_shapes import shower_shape_matrix
from train.baselines.table import (
    IMAGE_FEATURES,
    IMAGE_MOMENTS,
    SHOWER_SHAPES,
    VARIABLES,
    choose_features,
    read_features,
)


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


def test_image_moments_are_those_of_the_split(jets: Path) -> None:
    weights = np.arange(open_store(jets).image.shape[0], dtype=np.float32)
    table = read_features(open_store(jets), "test", weights=weights)
    split = open_dataset(jets, split="test")
    np.testing.assert_array_equal(table.feature, image_moment_matrix(split.image.values))
    np.testing.assert_array_equal(table.label, split.label)
    np.testing.assert_array_equal(table.weight, weights[table.sample])


def test_shower_shapes_are_for_showers() -> None:
    showers = ELECTRON_PHOTON
    assert choose_features(showers, ()) == SHOWER_SHAPES
    assert choose_features(QUARK_GLUON, ("pt",)) == VARIABLES
    assert choose_features(replace(showers, image_shape=(9, 31, 2), seed=(4, 15)), ()) == SHOWER_SHAPES
    for other in (
        QUARK_GLUON,
        shape_spec((32, 32, 2)),  # other channels
        replace(showers, seed=(15, 16)),
        replace(showers, image_shape=(8, 31, 2), seed=(4, 15)),
        replace(showers, image_shape=(9, 30, 2), seed=(4, 15)),
    ):
        assert choose_features(other, ()) == IMAGE_MOMENTS


def test_names_variables_that_a_store_does_not_have(showers: Path) -> None:
    with pytest.raises(ConfigError, match=r"unknown variable 'pt'; .* has no variables"):
        read_features(open_store(showers), "train", ("pt",))


def test_images_that_are_not_finite_are_named(showers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def shapes(image: Float32Array) -> Float64Array:
        feature = np.zeros((len(image), 3))
        feature[5, 1] = np.nan
        return feature

    monkeypatch.setitem(IMAGE_FEATURES, SHOWER_SHAPES, shapes)
    with pytest.raises(CorruptStoreError, match=r"sample 245 has features that are not finite; `ingest verify`"):
        read_features(open_store(showers), "validation")
