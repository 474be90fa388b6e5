from pathlib import Path

import numpy as np
import pytest

from store.errors import ConfigError
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
