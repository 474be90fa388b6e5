"""Layers one after the other, and beside each other: their names, shapes and weights, and how they are written down."""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args, get_origin, get_type_hints

from store.errors import ConfigError
from train.model.layers import (
    Activation,
    Attention,
    BatchNorm,
    Conv,
    Dense,
    LayerNorm,
    Patches,
    Shape,
    ShapeError,
    Weight,
)
from train.model.stateless_layers import Crop, Dropout, Flatten, GlobalPool, Join, MaxPool, ShowerFeatures


@dataclass(frozen=True, kw_only=True)
class Residual:
    """The sum of two ways through other layers (https://arxiv.org/abs/1512.03385).

    Attributes
    ----------
    body
        Layers of the one.
    shortcut
        Layers of the other; none is the identity.
    activation
        Of the sum.
    """

    body: tuple["Layer", ...]
    shortcut: tuple["Layer", ...] = ()
    activation: Activation = "linear"
    kind: ClassVar[str] = "residual"

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape that both ways end in."""
        ends = [(shape, *(step.output_shape for step in steps(way, shape)))[-1] for way in (self.body, self.shortcut)]
        if ends[0] != ends[1]:
            raise ShapeError(f"cannot add the body's {ends[0]} to the shortcut's {ends[1]}")
        return ends[0]

    def weights(self, shape: Shape) -> dict[str, Weight]:
        """Return the weights of all inner layers, ``body.conv1.kernel`` and so on."""
        return {
            f"{way}.{name}": weight
            for way in ("body", "shortcut")
            for name, weight in weights(steps(getattr(self, way), shape)).items()
        }


Layer = (
    Conv
    | Dense
    | BatchNorm
    | LayerNorm
    | Patches
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
    """One layer in its place: its unique name, and the shapes (without the batch) that enter and leave it."""

    name: str
    layer: Layer
    input_shape: Shape
    output_shape: Shape


def steps(layers: Iterable[Layer], shape: Shape) -> Iterator[Node]:
    """Yield layers with names, ``conv1`` and so on, and shapes.

    Raises
    ------
    ShapeError
        If a layer cannot take what it is given; the message leads with its name.
    """
    count: Counter[str] = Counter()
    for layer in layers:
        count[layer.kind] += 1
        name = f"{layer.kind}{count[layer.kind]}"
        try:
            step = Node(name=name, layer=layer, input_shape=shape, output_shape=layer.output_shape(shape))
        except ShapeError as error:
            raise ShapeError(f"{name} {error}") from None
        shape = step.output_shape
        yield step


def weights(found: Iterable[Node]) -> dict[str, Weight]:
    """Return every weight of the steps by its neutral name, ``conv1.kernel`` and so on."""
    return {
        f"{step.name}.{name}": weight for step in found for name, weight in step.layer.weights(step.input_shape).items()
    }


def to_dict(value: Any) -> Any:
    """Return plain values for a layer, for a tuple of layers, or for an attribute of one."""
    if isinstance(value, tuple):
        return [to_dict(item) for item in value]
    if isinstance(value, Layer):
        attributes = {field.name: to_dict(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"kind": value.kind, **attributes}
    return value


def from_dict(value: Any) -> Any:
    """Return what `to_dict` described.

    Raises
    ------
    KeyError, TypeError
        If it is no layer.
    ConfigError
        If an attribute of a layer has a value that it cannot have.
    """
    if isinstance(value, list):
        return tuple(from_dict(item) for item in value)
    if isinstance(value, dict):
        layer = LAYERS[value["kind"]](**{name: from_dict(item) for name, item in value.items() if name != "kind"})
        hints = get_type_hints(type(layer))
        for field in dataclasses.fields(layer):
            found = getattr(layer, field.name)
            if not _fits(found, hints[field.name]):
                raise ConfigError(f"{layer.kind}: {field.name}={found!r} is not {_in_words(hints[field.name])}")
        return layer
    return value


def _fits(value: Any, hint: Any) -> bool:
    """Tell whether an attribute of a layer can have a value: all numbers count something or are shares or small."""
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    if get_origin(hint) is tuple:
        kinds = get_args(hint)
        if not isinstance(value, tuple):
            return False
        if kinds[-1] is ...:
            return all(isinstance(item, Layer) for item in value)
        return len(value) == len(kinds) and all(map(_fits, value, kinds))
    if hint is float:
        return type(value) in (int, float) and 0 <= value < 1
    return type(value) is hint and (hint is bool or value >= 1)


def _in_words(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return f"one of {', '.join(get_args(hint))}"
    if get_origin(hint) is tuple:
        return "layers" if get_args(hint)[-1] is ... else f"{len(get_args(hint))} whole numbers from 1"
    return {int: "a whole number from 1", float: "a number from 0 to 1", bool: "true or false"}[hint]
