import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from store.errors import ConfigError
from train.model.architecture import (
    ARCHITECTURES,
    CNN,
    CNN_SMALL,
    JET_CNN,
    JET_CNN_DEEP,
    RESNET15,
    SHOWER,
    VIT,
    Architecture,
    count,
    find_architecture,
)
from train.model.graph import Layer, Residual
from train.model.layers import Attention, Conv, Dense, LayerNorm, Patches
from train.model.stateless_layers import Crop, Flatten, GlobalPool, Join, MaxPool, ShowerFeatures

SHAPE = (32, 32, 2)
JETS = (125, 125, 3)


def made_of(*layers: Layer) -> Architecture:
    return Architecture(name="made-up", source="tests", layers=layers, initialiser="he")


def test_reference_has_the_published_parameters() -> None:
    counts: dict[str, int] = {}
    for name, shape in CNN.weight_shapes(SHAPE).items():
        layer = name.split(".")[0]
        counts[layer] = counts.get(layer, 0) + math.prod(shape)
    assert list(counts.values()) == [608, 9248, 18496, 36928, 73856, 147584, 524544, 32896, 16512, 8256, 65]
    assert CNN.parameter_count(SHAPE) == 868_993


# Kernels k x k of a convolution from a to b channels hold k k a b values; a batch normalisation trains 2 b.
@pytest.mark.parametrize(
    ("architecture", "layers"),
    [
        (CNN_SMALL, [608, 18_496, 36_928, 36_928, 36_928, 4 * 4 * 64 * 64 + 64, 64 * 64 + 64, 64 + 1]),
        (
            RESNET15,
            [
                *(9 * 2 * 16, 2 * 16),
                *(2 * (9 * 16 * 16 + 2 * 16), 2 * (9 * 16 * 16 + 2 * 16)),
                9 * 16 * 32 + 9 * 32 * 32 + 16 * 32 + 3 * 2 * 32,
                2 * (9 * 32 * 32 + 2 * 32),
                9 * 32 * 64 + 9 * 64 * 64 + 32 * 64 + 3 * 2 * 64,
                2 * (9 * 64 * 64 + 2 * 64),
                64 + 1,
            ],
        ),
    ],
)
def test_published_networks_have_the_parameters_of_their_layers(architecture: Architecture, layers: list[int]) -> None:
    found = [count(step.layer.weights(step.input_shape)) for step in architecture.steps(SHAPE)]
    assert [parameters for parameters in found if parameters] == layers
    assert architecture.parameter_count(SHAPE) == sum(layers)


def test_moving_averages_are_no_parameters() -> None:
    assert sum(math.prod(shape) for shape in RESNET15.weight_shapes(SHAPE).values()) == (
        RESNET15.parameter_count(SHAPE) + 2 * (5 * 16 + 5 * 32 + 5 * 64)
    )


def test_transformer_is_as_large_as_the_reference() -> None:
    block = (2 * 128) + 4 * (128 * 128 + 128) + (2 * 128) + (128 * 512 + 512) + (512 * 128 + 128)
    assert VIT.parameter_count(SHAPE) == 4 * 4 * 2 * 128 + 64 * 128 + 4 * block + 2 * 128 + 129
    assert VIT.parameter_count(SHAPE) == pytest.approx(CNN.parameter_count(SHAPE), rel=0.1)


def test_description_shows_layers_and_total() -> None:
    text = CNN.describe(SHAPE)
    assert "conv6        8 x 8 x 128      147,584" in text
    assert text.endswith("868,993")
    assert "residual5    8 x 8 x 64        57,728" in RESNET15.describe(SHAPE)


@pytest.mark.parametrize("name", ["cnn", "cnn-small", "resnet15", "vit", "jet-cnn", "jet-cnn-deep"])
def test_fits_jets(name: str) -> None:
    assert ARCHITECTURES[name].parameter_count(JETS) > 100_000


def test_networks_for_jets_have_the_parameters_of_their_layers() -> None:
    assert JET_CNN.parameter_count(JETS) == (9 * 3 + 1) + (62 * 62 * 64 + 64) + (64 + 1)
    flat = 3 * 3 * 128 - 4 * 4 * 128  # beside the reference, which flattens 4 x 4
    stem = (9 * 3 * 32 + 32) + (9 * 32 * 32 - 9 * 2 * 32)
    assert JET_CNN_DEEP.parameter_count(JETS) == CNN.parameter_count(SHAPE) + stem + flat * 256


@pytest.mark.parametrize(("name", "width"), [("cnn", 2048), ("resnet15", 64), ("vit", 128), ("shower", 31 * 32)])
def test_variables_go_into_the_first_dense_layer_of_rows(name: str, width: int) -> None:
    joined = ARCHITECTURES[name].joined(3)
    (place,) = (step for step in joined.steps(SHAPE) if isinstance(step.layer, Join))
    assert (place.input_shape, place.output_shape) == ((width,), (width + 3,))
    assert joined.weight_shapes(SHAPE)["dense1.kernel"][0] == width + 3
    assert joined.weight_shapes(SHAPE).keys() == ARCHITECTURES[name].weight_shapes(SHAPE).keys()
    assert (joined.variables, ARCHITECTURES[name].joined(0)) == (3, ARCHITECTURES[name])


def test_patches_are_padded_to_a_grid() -> None:
    assert Patches(width=128).patch(SHAPE) == (4, 4)
    assert Patches(width=128).padding(SHAPE) == (0, 0)
    assert Patches(width=128).patch(JETS) == (16, 16)
    assert Patches(width=128).padding(JETS) == (3, 3)


def test_names_lead_through_residuals() -> None:
    names = list(RESNET15.weight_shapes(SHAPE))
    assert names[0] == "conv1.kernel"
    assert "residual3.shortcut.conv1.kernel" in names
    assert "residual6.body.batchnorm2.moving_variance" in names
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("conv", "shape"),
    [
        (Conv(filters=4), (32, 31, 4)),
        (Conv(filters=4, padding="valid"), (30, 29, 4)),
        (Conv(filters=4, stride=2), (16, 16, 4)),
        (Conv(filters=4, stride=2, kernel=(1, 1)), (16, 16, 4)),
        (Conv(filters=4, kernel=(9, 1), padding="valid"), (24, 31, 4)),
        (Conv(filters=4, kernel=(1, 3)), (32, 31, 4)),
    ],
)
def test_size_of_a_convolution(conv: Conv, shape: tuple[int, ...]) -> None:
    assert conv.output_shape((32, 31, 2)) == shape


def test_the_seed_stays_in_the_middle_of_a_crop() -> None:
    assert Crop(rows=9, columns=31).margins(SHAPE) == ((12, 11), (1, 0))
    assert Crop(rows=9, columns=31).margins((31, 31, 2)) == ((11, 11), (0, 0))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_survives_json(name: str) -> None:
    architecture = ARCHITECTURES[name]
    assert Architecture.from_dict(json.loads(json.dumps(architecture.to_dict()))) == architecture


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"layers": [{"kind": "fourier"}]}, "'fourier'; layers are conv, dense"),
        ({"layers": [{"kind": "dense", "width": 3}]}, "width"),
        ({"layers": [{"kind": "residual", "body": [{"kind": "fourier"}]}]}, "'fourier'"),
        ({"colour": "red"}, "colour"),
        ({"layers": [5]}, r"layers=\[5\]"),
        ({"layers": [{"kind": "conv", "filters": -1}]}, "conv: filters=-1 is not a whole number from 1"),
        ({"layers": [{"kind": "conv", "filters": 2.5}]}, "conv: filters=2.5 is not a whole number"),
        ({"layers": [{"kind": "conv", "filters": True}]}, "conv: filters=True is not a whole number"),
        ({"layers": [{"kind": "conv", "filters": 8, "kernel": 3}]}, "conv: kernel=3 is not 2 whole numbers from 1"),
        ({"layers": [{"kind": "conv", "filters": 8, "kernel": [3, 0]}]}, "is not 2 whole numbers from 1"),
        ({"layers": [{"kind": "conv", "filters": 8, "stride": 0}]}, "conv: stride=0 is not"),
        ({"layers": [{"kind": "conv", "filters": 8, "padding": "full"}]}, "padding='full' is not one of same, valid"),
        ({"layers": [{"kind": "dense", "units": 8, "activation": "tanh"}]}, "one of linear, relu, gelu"),
        ({"layers": [{"kind": "dropout", "rate": 1.0}]}, "dropout: rate=1.0 is not a number from 0 to 1"),
        ({"layers": [{"kind": "globalpool", "maximum": 1}]}, "globalpool: maximum=1 is not true or false"),
        ({"layers": [{"kind": "residual", "body": [5]}]}, "residual: body=.* is not layers"),
        ({"initialiser": "zeros"}, "unknown initialiser 'zeros'; known: truncated-normal, he, glorot"),
    ],
)
def test_refuses_what_is_no_architecture(damage: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Architecture.from_dict({**CNN.to_dict(), **damage})


def test_found_by_name_or_in_a_file(tmp_path: Path) -> None:
    assert find_architecture("cnn-small") is CNN_SMALL
    (path := tmp_path / "mine.json").write_text(json.dumps(SHOWER.to_dict()))
    assert find_architecture(str(path)) == SHOWER


@pytest.mark.parametrize("content", ["{", "[]", '{"name": "mine"}', "\xff"])
def test_a_file_without_an_architecture_is_refused_by_name(tmp_path: Path, content: str) -> None:
    (path := tmp_path / "mine.json").write_text(content, encoding="latin-1")
    with pytest.raises(ConfigError, match=r"mine\.json: holds no architecture"):
        find_architecture(str(path))
    with pytest.raises(ConfigError, match=r"none\.json: holds no architecture"):
        find_architecture(str(tmp_path / "none.json"))


@pytest.mark.parametrize(
    ("architecture", "shape", "message"),
    [
        (CNN, (6, 7, 2), r"model 'cnn' does not fit images of \(6, 7, 2\): maxpool3 .* gets \(1, 1, 128\)"),
        (
            SHOWER,
            JETS,
            r"model .shower. does not fit .*features1 needs images of energy and time, .* gets .125,",
        ),
        (SHOWER, (8, 32, 2), "crop1 needs .* of at least 9 x 31"),
        (made_of(Crop(rows=4, columns=5)), SHAPE, "crop1 needs odd numbers of rows and columns, not 4 x 5"),
        (made_of(Flatten(), Conv(filters=2)), SHAPE, "conv1 needs .ieta, iphi, channel. but gets .2048,."),
        (made_of(Conv(filters=2, kernel=(2, 3))), SHAPE, r"needs an odd kernel, not \(2, 3\)"),
        (made_of(Conv(filters=2, padding="valid")), (32, 2, 2), "conv1 needs .* of at least 3 x 3 but gets .32, 2, 2."),
        (made_of(Flatten(), MaxPool()), SHAPE, "maxpool1"),
        (made_of(Dense(units=1)), SHAPE, "dense1 needs one row"),
        (made_of(Join(variables=1)), SHAPE, "join1 needs one row"),
        (made_of(Flatten(), GlobalPool()), SHAPE, "globalpool1 needs an image or tokens"),
        (made_of(LayerNorm()), SHAPE, "layernorm1 needs .token, width."),
        (made_of(Patches(width=6), Attention(heads=4)), SHAPE, "attention1 needs a width that 4 heads divide"),
        (made_of(Residual(body=(Conv(filters=3),))), SHAPE, r"residual1 cannot add the body's \(32, 32, 3\) to"),
        (made_of(Residual(body=(MaxPool(), Dense(units=2)))), SHAPE, "residual1 dense1 needs one row"),
        (made_of(ShowerFeatures()), JETS, "features1 needs images of energy and time"),
        (made_of(Flatten(), Dense(units=2)), SHAPE, r"ends in \(2,\)"),
    ],
)
def test_refuses_images_that_do_not_fit(architecture: Architecture, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        architecture.parameter_count(shape)


def test_pooling_drops_a_remainder() -> None:
    assert MaxPool(size=2).output_shape((125, 7, 3)) == (62, 3, 3)


def test_variables_need_a_dense_layer_to_join() -> None:
    convolutions = replace(CNN, layers=tuple(layer for layer in CNN.layers if isinstance(layer, Conv)))
    with pytest.raises(ConfigError, match="model 'cnn' has no dense layer for variables to join"):
        convolutions.joined(2)
