import json
from typing import Any

import pytest

from store.errors import ConfigError
from train.model.architecture import Architecture
from train.model.networks import CNN, SHOWER
from train.model.normalisation import Normalisation
from train.model.specification import Specification, check_sizes
from train.variables import VariableInputs

TWO = Normalisation(recipe="max", scale=(2.0, 0.1), offset=(0.0, 0.0))
ONE_LOGIT = {"kind": "dense", "units": 1}


def test_survives_json() -> None:
    specification = Specification(architecture=CNN, normalisation=TWO, image_shape=(32, 32, 2))
    assert Specification.from_dict(json.loads(json.dumps(specification.to_dict()))) == specification


def test_survives_json_with_variables() -> None:
    variables = VariableInputs(names=("pt", "m0"), mean=(100.0, 20.0), deviation=(30.0, 8.0))
    specification = Specification(
        architecture=CNN.with_variables(2), normalisation=TWO, image_shape=(32, 32, 2), variables=variables
    )
    assert Specification.from_dict(json.loads(json.dumps(specification.to_dict()))) == specification


def test_refuses_variables_that_the_architecture_does_not_take() -> None:
    with pytest.raises(ConfigError, match="model 'cnn' takes 2 variables, got 0"):
        Specification(architecture=CNN.with_variables(2), normalisation=TWO, image_shape=(32, 32, 2))


def test_refuses_a_normalisation_of_other_channels() -> None:
    with pytest.raises(ConfigError, match=r"2 channels, the images are \(32, 32, 3\)"):
        Specification(architecture=CNN, normalisation=TWO, image_shape=(32, 32, 3))


def test_features_are_made_of_raw_images() -> None:
    with pytest.raises(
        ConfigError, match=r"model 'shower' takes images as they are in the file, .* by 'max'; use --norm"
    ):
        Specification(architecture=SHOWER, normalisation=TWO, image_shape=(32, 32, 2))


def test_refuses_images_that_do_not_fit() -> None:
    with pytest.raises(ConfigError, match="does not fit images"):
        Specification(architecture=CNN, normalisation=TWO, image_shape=(4, 4, 2))


def test_refuses_other_json() -> None:
    with pytest.raises(ConfigError, match="not the specification of a model: 'architecture'"):
        Specification.from_dict({"image_shape": [32, 32, 2]})


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (
            [{"kind": "flatten"}, {"kind": "dense", "units": 10**6}, {"kind": "dense", "units": 1}],
            "dense1, its weights",
        ),
        (
            [
                {"kind": "conv", "filters": 10**6, "kernel": [1, 1]},
                {"kind": "globalpool"},
                {"kind": "dense", "units": 1},
            ],
            "conv1 returns 1,024,000,000 values per image",
        ),
    ],
)
def test_a_model_that_no_memory_could_hold_is_refused_before_it_is_made(layers: list[Any], message: str) -> None:
    values = {"name": "large", "source": "", "layers": layers, "initialiser": "he"}
    with pytest.raises(ConfigError, match=f"model 'large' is too large: .*{message}"):
        check_sizes(Architecture.from_dict(values), (32, 32, 2))
