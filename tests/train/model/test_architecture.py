from dataclasses import replace

import pytest

from store.errors import ConfigError
from train.model.architecture import Architecture
from train.model.graph import Layer, Residual
from train.model.layers import BatchNorm, Conv, Dense
from train.model.networks import ARCHITECTURES, CNN, RESNET15, SHOWER
from train.model.stateless_layers import Flatten, GlobalPool, Join, MaxPool, ShowerFeatures
from train.model.token_layers import Attention, LayerNorm, Patches, Tokens

SHAPE = (32, 32, 2)
JETS = (125, 125, 3)


def made_of(*layers: Layer) -> Architecture:
    return Architecture(name="made-up", source="tests", layers=layers, initialiser="he")


def test_summary_shows_layers_and_total() -> None:
    text = CNN.summary(SHAPE)
    assert "conv6        8 x 8 x 128      147,584" in text
    assert text.endswith("868,993")
    assert "residual5    8 x 8 x 64        57,728" in RESNET15.summary(SHAPE)


@pytest.mark.parametrize(
    ("name", "width", "dense"),
    [
        ("cnn", 2048, "dense1"),
        ("resnet15", 64, "dense1"),
        ("vit", 128, "dense1"),
        ("shower", 31 * 32, "dense1"),
        ("shower-transformer", 31 * 32, "dense2"),  # the first one is of tokens
    ],
)
def test_variables_go_into_the_first_dense_layer_of_vectors(name: str, width: int, dense: str) -> None:
    architecture = ARCHITECTURES[name].with_variables(3)
    (join,) = (node for node in architecture.nodes(SHAPE) if isinstance(node.layer, Join))
    assert (join.input_shape, join.output_shape) == ((width,), (width + 3,))
    assert architecture.weight_shapes(SHAPE)[f"{dense}.kernel"][0] == width + 3
    assert architecture.weight_shapes(SHAPE).keys() == ARCHITECTURES[name].weight_shapes(SHAPE).keys()
    assert (architecture.variable_count, ARCHITECTURES[name].with_variables(0)) == (3, ARCHITECTURES[name])


def test_variables_need_a_dense_layer() -> None:
    convolutions = replace(CNN, layers=tuple(layer for layer in CNN.layers if isinstance(layer, Conv)))
    with pytest.raises(ConfigError, match="model 'cnn' cannot take variables: it has no dense layer"):
        convolutions.with_variables(2)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_more_than_two_classes_have_a_logit_each(name: str) -> None:
    architecture = ARCHITECTURES[name]
    assert architecture.with_outputs(2) is architecture
    shape = JETS if name.startswith("jet") else SHAPE
    three = architecture.with_outputs(3)
    assert (architecture.class_count(shape), three.class_count(shape)) == (2, 3)
    before, after = architecture.weight_shapes(shape), three.weight_shapes(shape)
    changed = [after[weight][-1] for weight in after if after[weight] != before[weight]]
    assert changed == [3, 3], "kernel and bias of the last layer"
    assert three.with_outputs(3) == three


def test_only_a_single_logit_is_multiplied() -> None:
    five, pooled = made_of(Flatten(), Dense(units=5)), made_of(Conv(filters=1), GlobalPool())
    assert five.with_outputs(3).class_count(SHAPE) == 5
    assert pooled.with_outputs(3).class_count(SHAPE) == 2


def test_only_models_that_compute_features_take_raw_images() -> None:
    raw = [name for name, architecture in ARCHITECTURES.items() if architecture.takes_raw_images]
    assert raw == ["shower", "shower-time", "shower-transformer"]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"layers": [{"kind": "fourier"}]}, "'fourier'; known: conv, dense"),
        ({"layers": [{"kind": "conv", "filters": -1}]}, "conv: filters=-1 is not a whole number of at least 1"),
        ({"layers": [5]}, "5 is not a layer"),
        ({"layers": 5}, "architecture: layers=5 is not a list of layers"),
        ({"colour": "red"}, "architecture: unknown attribute 'colour'; known: name, source, layers, initialiser"),
        ({"name": 5}, "architecture: name=5 is not text"),
        ({"initialiser": "zeros"}, "initialiser='zeros' is not one of truncated-normal, he, glorot"),
    ],
)
def test_refuses_what_is_no_architecture(damage: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Architecture.from_dict({**CNN.to_dict(), **damage})


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
        (made_of(Flatten(), Conv(filters=2)), SHAPE, "conv1 needs .ieta, iphi, channel. but gets .2048,."),
        (made_of(Conv(filters=2, padding="valid")), (32, 2, 2), "conv1 needs .* of at least 3 x 3 but gets .32, 2, 2."),
        (made_of(Flatten(), MaxPool()), SHAPE, "maxpool1"),
        (made_of(Dense(units=1)), SHAPE, "dense1 needs a vector or tokens"),
        (made_of(Join(variables=1)), SHAPE, "join1 needs a vector"),
        (made_of(Flatten(), GlobalPool()), SHAPE, "globalpool1 needs an image or tokens"),
        (made_of(LayerNorm()), SHAPE, "layernorm1 needs .token, width."),
        (made_of(Tokens(), Tokens()), SHAPE, r"tokens2 needs \(ieta, iphi, channel\) but gets \(1024, 2\)"),
        (made_of(Flatten(), Tokens()), SHAPE, r"tokens1 needs \(ieta, iphi, channel\) but gets \(2048,\)"),
        (made_of(Flatten(), BatchNorm()), SHAPE, r"batchnorm1 needs an image or tokens but gets \(2048,\)"),
        (
            made_of(Patches(width=6), Attention(heads=4)),
            SHAPE,
            "attention1 needs a width that is a multiple of heads=4",
        ),
        (made_of(Residual(body=(Conv(filters=3),))), SHAPE, r"residual1 cannot add the body's \(32, 32, 3\) to"),
        (made_of(Residual(body=(MaxPool(), Dense(units=2)))), SHAPE, "residual1 dense1 needs a vector"),
        (made_of(ShowerFeatures()), JETS, "features1 needs images of energy and time"),
        (made_of(Flatten(), Dense(units=2)), SHAPE, r"ends in \(2,\)"),
    ],
)
def test_refuses_images_that_do_not_fit(architecture: Architecture, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        architecture.parameter_count(shape)
