import pytest

from store.errors import ConfigError
from train.model.stateless_layers import Crop, GlobalPool, MaxPool, ShowerFeatures


def test_pooling_drops_a_remainder() -> None:
    assert MaxPool(size=2).output_shape((125, 7, 3)) == (62, 3, 3)


def test_global_pooling_appends_the_maximum() -> None:
    assert GlobalPool().output_shape((4, 4, 3)) == (3,)
    assert GlobalPool(maximum=True).output_shape((4, 4, 3)) == (6,)


def test_the_seed_stays_in_the_middle_of_a_crop() -> None:
    assert Crop(rows=9, columns=31).margins((32, 32, 2)) == ((12, 11), (1, 0))
    assert Crop(rows=9, columns=31).margins((31, 31, 2)) == ((11, 11), (0, 0))


def test_a_crop_has_a_middle() -> None:
    with pytest.raises(ConfigError, match="crop: rows=4 is not an odd number"):
        Crop(rows=4, columns=5)


def test_shower_features_divide_by_their_units() -> None:
    assert ShowerFeatures(time=True).output_shape((32, 32, 2)) == (32, 32, 5)
    with pytest.raises(ConfigError, match="features: energy_unit=0 is not a number above 0"):
        ShowerFeatures(energy_unit=0)
