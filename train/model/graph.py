"""Layers in sequence and in residual branches: their names, shapes and weights, and layers as plain values."""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, get_args

from store.errors import ConfigError
from train.model.attributes import Allowed, check_names
from train.model.layers import Activation, BaseLayer, BatchNorm, Conv, Dense, Shape, ShapeError, WeightSpec
from train.model.stateless_layers import Crop, Dropout, Flatten, GlobalPool, Join, MaxPool, ShowerFeatures
from train.model.token_layers import Attention, LayerNorm, Patches, Tokens

Layers = Annotated[
    tuple["Layer", ...],
    Allowed("a list of layers", lambda value: isinstance(value, tuple) and all(isinstance(x, Layer) for x in value)),
]


@dataclass(frozen=True, kw_only=True)
class Residual(BaseLayer):
    """The sum of two branches of layers (https://arxiv.org/abs/1512.03385).

    Attributes
    ----------
    body
        Layers of the first branch.
    shortcut
        Layers of the second branch; without any, it is the identity.
    activation
        Activation function of the sum.
    """

    body: Layers
    shortcut: Layers = ()
    activation: Activation = "linear"
    kind: ClassVar[str] = "residual"

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return the output shape of both branches."""
        body, shortcut = (
            [input_shape, *(node.output_shape for node in trace_layers(branch, input_shape))][-1]
            for branch in (self.body, self.shortcut)
        )
        if body != shortcut:
            raise ShapeError(f"cannot add the body's {body} to the shortcut's {shortcut}")
        return body

    def weight_specs(self, input_shape: Shape) -> dict[str, WeightSpec]:
        """Return the weights of the layers in both branches, named like ``body.conv1.kernel``."""
        return {
            f"{branch}.{name}": weight
            for branch in ("body", "shortcut")
            for name, weight in collect_weights(trace_layers(getattr(self, branch), input_shape)).items()
        }


Layer = (
    Conv
    | Dense
    | BatchNorm
    | LayerNorm
    | Patches
    | Tokens
    | Attention
    | Residual
    | MaxPool
    | GlobalPool
    | Flatten
    | Dropout
    | Join
    | Crop
    | ShowerFeatures
)
LAYERS: dict[str, type[Layer]] = {layer.kind: layer for layer in get_args(Layer)}


@dataclass(frozen=True, kw_only=True)
class Node:
    """A layer in a model: its unique name, and the shapes of its input and output without the batch axis."""

    name: str
    layer: Layer
    input_shape: Shape
    output_shape: Shape


def trace_layers(layers: Iterable[Layer], input_shape: Shape) -> Iterator[Node]:
    """Follow an input shape through layers in sequence, and yield a node for each, named ``conv1`` and so on.

    Raises
    ------
    ShapeError
        If a layer cannot take its input; the message begins with the layer's name.
    """
    count: Counter[str] = Counter()
    for layer in layers:
        count[layer.kind] += 1
        name = f"{layer.kind}{count[layer.kind]}"
        try:
            output_shape = layer.output_shape(input_shape)
        except ShapeError as error:
            raise ShapeError(f"{name} {error}") from None
        yield Node(name=name, layer=layer, input_shape=input_shape, output_shape=output_shape)
        input_shape = output_shape


def collect_weights(nodes: Iterable[Node]) -> dict[str, WeightSpec]:
    """Return the weights of all nodes by their neutral names, such as ``conv1.kernel``."""
    return {
        f"{node.name}.{name}": weight
        for node in nodes
        for name, weight in node.layer.weight_specs(node.input_shape).items()
    }


def layer_to_dict(layer: Layer) -> dict[str, Any]:
    """Return a layer as plain values, from which `layer_from_dict` makes an equal layer."""
    attributes = {field.name: _to_plain(getattr(layer, field.name)) for field in dataclasses.fields(layer)}
    return {"kind": layer.kind, **attributes}


def layer_from_dict(values: Any) -> Layer:
    """Return the layer that `layer_to_dict` described.

    Raises
    ------
    ConfigError
        If the values do not describe a layer, or an attribute has a value that is not allowed.
    """
    if not isinstance(values, dict) or not isinstance(values.get("kind"), str):
        raise ConfigError(f"{values!r} is not a layer such as {{'kind': 'dense', 'units': 64}}")
    kind, attributes = values["kind"], {name: value for name, value in values.items() if name != "kind"}
    if kind not in LAYERS:
        raise ConfigError(f"unknown layer {kind!r}; known: {', '.join(LAYERS)}")
    check_names(attributes, LAYERS[kind], kind)
    return LAYERS[kind](**{name: _from_plain(value) for name, value in attributes.items()})


def _to_plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_to_plain(item) for item in value]
    return layer_to_dict(value) if isinstance(value, Layer) else value


def _from_plain(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_from_plain(item) for item in value)
    return layer_from_dict(value) if isinstance(value, dict) else value
