import json
import math
from typing import Any

import pytest

from store.errors import ConfigError
from train.model.graph import LAYERS, Layer, Residual, collect_weights, layer_from_dict, layer_to_dict, trace_layers
from train.model.layers import Conv, Dense, ShapeError
from train.model.networks import RESNET15, basic_block
from train.model.stateless_layers import Flatten, MaxPool
from train.model.token_layers import Attention, LayerNorm

SHAPE = (32, 32, 2)


def test_layers_are_numbered_by_kind_and_pass_their_shapes_on() -> None:
    nodes = list(trace_layers((Conv(filters=4), MaxPool(), Conv(filters=3), Flatten()), SHAPE))
    assert [node.name for node in nodes] == ["conv1", "maxpool1", "conv2", "flatten1"]
    assert [node.input_shape for node in nodes] == [SHAPE, (32, 32, 4), (16, 16, 4), (16, 16, 3)]
    assert nodes[-1].output_shape == (16 * 16 * 3,)


def test_names_lead_through_residuals() -> None:
    names = list(RESNET15.weight_shapes(SHAPE))
    assert names[0] == "conv1.kernel"
    assert "residual3.shortcut.conv1.kernel" in names
    assert "residual6.body.batchnorm2.moving_variance" in names
    assert len(set(names)) == len(names)


def test_both_branches_of_a_residual_have_one_output_shape() -> None:
    assert basic_block(8, 2, project=True).output_shape(SHAPE) == (16, 16, 8)
    with pytest.raises(ShapeError, match=r"cannot add the body's \(32, 32, 3\) to the shortcut's \(32, 32, 2\)"):
        Residual(body=(Conv(filters=3),)).output_shape(SHAPE)


def test_weights_of_both_branches_are_collected() -> None:
    weights = collect_weights(trace_layers((basic_block(8, project=True),), SHAPE))
    assert math.prod(weights["residual1.body.conv2.kernel"].shape) == 9 * 8 * 8
    assert weights["residual1.shortcut.conv1.kernel"].shape == (1, 1, 2, 8)


@pytest.mark.parametrize(
    "layer",
    [
        Conv(filters=8, kernel=(1, 3), bias=False),
        Residual(body=(LayerNorm(), Attention(heads=2)), shortcut=(Dense(units=4, activation="gelu"),)),
    ],
)
def test_a_layer_survives_json(layer: Layer) -> None:
    assert layer_from_dict(json.loads(json.dumps(layer_to_dict(layer)))) == layer


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (5, "5 is not a layer such as"),
        ({"units": 3}, "is not a layer such as"),
        ({"kind": ["dense"]}, "is not a layer such as"),
        ({"kind": "fourier"}, "unknown layer 'fourier'; known: conv, dense"),
        ({"kind": "dense", "width": 3}, "dense: unknown attribute 'width'; known: units, activation"),
        ({"kind": "dense"}, "dense: attribute 'units' is missing"),
        ({"kind": "residual", "body": [{"kind": "fourier"}]}, "'fourier'"),
        ({"kind": "residual", "body": [5]}, r"residual: body=\(5,\) is not a list of layers"),
        ({"kind": "conv", "filters": -1}, "conv: filters=-1 is not a whole number of at least 1"),
        ({"kind": "conv", "filters": 2.5}, "conv: filters=2.5 is not a whole number"),
        ({"kind": "conv", "filters": True}, "conv: filters=True is not a whole number"),
        ({"kind": "conv", "filters": 8, "kernel": 3}, "conv: kernel=3 is not two whole numbers of at least 1"),
        ({"kind": "conv", "filters": 8, "kernel": [3, 0]}, r"kernel=\(3, 0\) is not two whole numbers of at least 1"),
        ({"kind": "conv", "filters": 8, "kernel": [3, 3, 3]}, "is not two whole numbers of at least 1"),
        ({"kind": "conv", "filters": 8, "stride": 0}, "conv: stride=0 is not"),
        ({"kind": "conv", "filters": 8, "padding": "full"}, "padding='full' is not one of same, valid"),
        ({"kind": "dense", "units": 8, "activation": "tanh"}, "one of linear, relu, gelu"),
        ({"kind": "dense", "units": 8, "activation": []}, "one of linear, relu, gelu"),
        ({"kind": "dropout", "rate": 1.0}, "dropout: rate=1.0 is not a number of at least 0 and below 1"),
        ({"kind": "features", "energy_unit": math.inf}, "features: energy_unit=inf is not a number above 0"),
        ({"kind": "dropout", "rate": 10**400}, "dropout: rate=1000.* is not a number"),
        ({"kind": "dropout", "rate": math.nan}, "dropout: rate=nan is not a number"),
        ({"kind": "globalpool", "maximum": 1}, "globalpool: maximum=1 is not true or false"),
    ],
)
def test_refuses_what_is_no_layer(values: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        layer_from_dict(values)


@pytest.mark.parametrize("kind", LAYERS)
def test_no_attribute_of_a_layer_is_unchecked(kind: str) -> None:
    required = {"filters": 1, "units": 1, "width": 1, "heads": 1, "body": [], "rate": 0, "rows": 1, "columns": 1}
    layer = layer_from_dict(
        {"kind": kind, **{name: value for name, value in required.items() if name in LAYERS[kind].__annotations__}}
        | ({"variables": 1} if kind == "join" else {})
    )
    for name in set(layer_to_dict(layer)) - {"kind"}:
        with pytest.raises(ConfigError, match=f"{kind}: {name}="):
            layer_from_dict({**layer_to_dict(layer), name: "made up"})
