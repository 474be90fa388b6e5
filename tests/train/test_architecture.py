import json
import math

import pytest

from store.errors import ConfigError
from train.architecture import ARCHITECTURES, CNN, Architecture, Conv, Dense, Flatten, Layer, MaxPool

SHAPE = (32, 32, 2)


def made_of(*layers: Layer) -> Architecture:
    return Architecture(name="made-up", source="tests", layers=layers, kernel_deviation=0.05)


def test_reference_has_the_published_parameters() -> None:
    counts: dict[str, int] = {}
    for name, shape in CNN.weight_shapes(SHAPE).items():
        layer = name.split(".")[0]
        counts[layer] = counts.get(layer, 0) + math.prod(shape)
    assert list(counts.values()) == [608, 9248, 18496, 36928, 73856, 147584, 524544, 32896, 16512, 8256, 65]
    assert CNN.parameter_count(SHAPE) == 868_993


def test_description_shows_layers_and_total() -> None:
    text = CNN.describe(SHAPE)
    assert "conv6      8 x 8 x 128      147,584" in text
    assert text.endswith("868,993")


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_survives_json(name: str) -> None:
    architecture = ARCHITECTURES[name]
    assert Architecture.from_json(json.loads(json.dumps(architecture.to_json()))) == architecture


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"layers": [{"kind": "fourier"}]}, "'fourier'; layers are conv, maxpool"),
        ({"layers": [{"kind": "dense", "width": 3}]}, "width"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_refuses_what_is_no_architecture(damage: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Architecture.from_json({**CNN.to_json(), **damage})


@pytest.mark.parametrize(
    ("architecture", "shape", "message"),
    [
        (CNN, (6, 7, 2), r"model 'cnn' does not fit images of \(6, 7, 2\): maxpool3 .* gets \(1, 1, 128\)"),
        (made_of(Flatten(), Conv(filters=2)), SHAPE, "conv1 needs .ieta, iphi, channel. but gets .2048,."),
        (made_of(Flatten(), MaxPool()), SHAPE, "maxpool1"),
        (made_of(Dense(units=1)), SHAPE, "dense1 needs one row"),
        (made_of(Flatten(), Dense(units=2)), SHAPE, r"ends in \(2,\)"),
    ],
)
def test_refuses_images_that_do_not_fit(architecture: Architecture, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        architecture.parameter_count(shape)


def test_pooling_drops_a_remainder() -> None:
    assert MaxPool(size=2).output_shape((125, 7, 3)) == (62, 3, 3)
