from dataclasses import replace

import pytest

from store.datasets import ELECTRON_PHOTON, QUARK_GLUON, DatasetSpec
from store.errors import ConfigError
from tests.examples import shape_spec
from train.model.choice import check_fit, default_model, fitting_models
from train.model.networks import ARCHITECTURES


def showers(ieta: int, iphi: int) -> DatasetSpec:
    return replace(ELECTRON_PHOTON, image_shape=(ieta, iphi, 2), seed=(ieta // 2, iphi // 2))


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        (ELECTRON_PHOTON, "shower"),
        (QUARK_GLUON, "jet-cnn-deep"),
        (showers(64, 64), "resnet15"),
        (shape_spec((32, 32, 2)), "resnet15"),  # other channels than energy and time
        (shape_spec((32, 32, 3)), "resnet15"),
        (shape_spec((40, 56, 8)), "resnet15"),
        (shape_spec((1, 1, 1)), "resnet15"),
        (shape_spec((64, 64, 1)), "resnet15"),
        (shape_spec((64, 65, 1)), "jet-cnn-deep"),
        (shape_spec((30, 1000, 1)), "resnet15"),  # too few rows for jet-cnn-deep
        (shape_spec((8192, 8192, 1)), "vit"),  # other networks would be too large
        (replace(QUARK_GLUON, model="vit"), "vit"),
        (replace(QUARK_GLUON, model="shower"), "shower"),  # which the trainer then refuses by name
    ],
)
def test_the_default_follows_the_images(spec: DatasetSpec, name: str) -> None:
    assert default_model(spec) == name


def test_a_name_that_is_unknown_gets_those_that_fit() -> None:
    message = r"\[train\] model of the data set is 'vgg', which is unknown; --model cnn or .* or jet-transformer fits"
    with pytest.raises(ConfigError, match=message):
        default_model(replace(QUARK_GLUON, model="vgg"))


@pytest.mark.parametrize(
    ("name", "fits", "too_small"),
    [
        ("cnn", (8, 8), (7, 8)),
        ("cnn-small", (20, 20), (20, 19)),
        ("resnet15", (1, 1), None),
        ("vit", (1, 1), None),
        ("jet-cnn", (2, 2), (1, 2)),
        ("jet-cnn-deep", (31, 31), (30, 31)),
        ("jet-transformer", (7, 7), (6, 7)),
    ],
)
def test_smallest_images_that_a_network_takes(
    name: str, fits: tuple[int, int], too_small: tuple[int, int] | None
) -> None:
    for channels in (1, 8):
        assert name in fitting_models(shape_spec((*fits, channels)))
        assert too_small is None or name not in fitting_models(shape_spec((*too_small, channels)))


def test_showers_are_images_of_energy_and_time() -> None:
    shower = ARCHITECTURES["shower"]
    check_fit(shower, showers(9, 31))
    with pytest.raises(ConfigError, match=r"'shower' does not fit images of \(8, 31, 2\)"):
        check_fit(shower, showers(8, 31))
    with pytest.raises(ConfigError, match="'shower' needs the channels energy, time, the images have c0, c1"):
        check_fit(shower, shape_spec((32, 32, 2)))
    with pytest.raises(ConfigError, match=r"'shower' does not fit images of \(32, 32, 3\): features1 needs"):
        check_fit(shower, shape_spec((32, 32, 3)))
