"""The architecture of a model as plain data: its layers, its weights, and its description in JSON.

`train.pytorch.model` and `train.keras.model` build it; `train.model.networks` has the built-in architectures.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

from store.errors import ConfigError
from train.model.attributes import Text, check_attributes, check_names, one_of
from train.model.graph import Layers, Node, collect_weights, layer_from_dict, layer_to_dict, trace_layers
from train.model.layers import Dense, Shape, ShapeError, WeightSpec
from train.model.stateless_layers import Flatten, GlobalPool, Join, ShowerFeatures

Initialiser = Annotated[Literal["truncated-normal", "he", "glorot"], one_of("truncated-normal", "he", "glorot")]
"""How kernels are drawn, see `train.model.weights.initial_weights`."""


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """A classifier of calorimeter images that returns one logit for two classes, and one logit per class for more.

    Attributes
    ----------
    name
        Name of the model, as given to ``--model``.
    source
        Where the layers and settings were published.
    layers
        The layers in order, without the normalisation before them, which depends on the data.
    initialiser
        How kernels are drawn.

    Raises
    ------
    ConfigError
        If an attribute has a value that is not allowed.
    """

    name: Text
    source: Text
    layers: Layers
    initialiser: Initialiser

    def __post_init__(self) -> None:
        check_attributes(self, "architecture")

    @property
    def takes_raw_images(self) -> bool:
        """Whether the model computes its own features, from images that are not normalised."""
        return any(isinstance(layer, ShowerFeatures) for layer in self.layers)

    @property
    def variable_count(self) -> int:
        """Number of per-sample variables that the model takes besides the image."""
        return sum(layer.variables for layer in self.layers if isinstance(layer, Join))

    def with_variables(self, count: int) -> "Architecture":
        """Return the architecture with `count` variables appended to the input of its first dense layer of vectors.

        Raises
        ------
        ConfigError
            If the architecture has no dense layer.
        """
        if not count:
            return self
        kinds = [(index, type(layer)) for index, layer in enumerate(self.layers)]
        start = next((index for index, kind in kinds if issubclass(kind, Flatten | GlobalPool)), 0)
        first = next((index for index, kind in kinds[start:] if issubclass(kind, Dense)), None)
        if first is None:
            raise ConfigError(f"model {self.name!r} cannot take variables: it has no dense layer to append them to")
        return replace(self, layers=(*self.layers[:first], Join(variables=count), *self.layers[first:]))

    def with_outputs(self, classes: int) -> "Architecture":
        """Return the architecture for a number of classes.

        With more than two classes, a last dense layer of one unit gets one unit per class. Every other architecture is
        returned as it is, and `class_count` tells whether it fits.
        """
        *layers, last = self.layers or (None,)
        if classes == 2 or not isinstance(last, Dense) or last.units != 1:
            return self
        return replace(self, layers=(*layers, replace(last, units=classes)))

    def class_count(self, image_shape: Shape) -> int:
        """Return the number of classes that the model tells apart, for images of shape (ieta, iphi, channel).

        Raises
        ------
        ShapeError
            See `nodes`.
        """
        *_, last = self.nodes(image_shape)
        return max(2, *last.output_shape)

    def nodes(self, image_shape: Shape) -> Iterator[Node]:
        """Yield the layers with their names and shapes, for images of shape (ieta, iphi, channel).

        Raises
        ------
        ShapeError
            If a layer cannot take its input, or the last output is neither one logit nor a logit for each of more than
            two classes.
        """
        shape = tuple(image_shape)
        try:
            for node in trace_layers(self.layers, shape):
                shape = node.output_shape
                yield node
        except ShapeError as error:
            raise ShapeError(f"model {self.name!r} does not fit images of {image_shape}: {error}") from None
        if len(shape) != 1 or shape[0] == 2:
            raise ShapeError(
                f"model {self.name!r} ends in {shape}; it must end in one logit, (1,), for two classes, or for more "
                "than two in one logit per class"
            )

    def weight_specs(self, image_shape: Shape) -> dict[str, WeightSpec]:
        """Return all weights by neutral name, such as ``conv1.kernel`` or ``residual1.body.conv1.kernel``."""
        return collect_weights(self.nodes(image_shape))

    def weight_shapes(self, image_shape: Shape) -> dict[str, Shape]:
        """Return the shapes of all weights by neutral name, in channel-last order."""
        return {name: weight.shape for name, weight in self.weight_specs(image_shape).items()}

    def parameter_count(self, image_shape: Shape) -> int:
        """Return the number of trainable parameters."""
        return count_parameters(self.weight_specs(image_shape).values())

    def summary(self, image_shape: Shape) -> str:
        """Return a table of the layers as text: name, output shape, number of trainable parameters."""
        lines = [f"{self.name}: {self.source}"]
        for node in self.nodes(image_shape):
            parameters = count_parameters(node.layer.weight_specs(node.input_shape).values())
            lines.append(f"{node.name:<12} {' x '.join(map(str, node.output_shape)):<14} {parameters:>9,}")
        return "\n".join([*lines, f"{'parameters':<27} {self.parameter_count(image_shape):>9,}"])

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, from which `from_dict` makes an equal architecture."""
        return {
            "name": self.name,
            "source": self.source,
            "layers": [layer_to_dict(layer) for layer in self.layers],
            "initialiser": self.initialiser,
        }

    @classmethod
    def from_dict(cls, values: Any) -> "Architecture":
        """Return the architecture that `to_dict` described.

        Raises
        ------
        ConfigError
            If the values do not describe an architecture; the message says what is wrong.
        """
        if not isinstance(values, dict):
            raise ConfigError(f"architecture: {values!r} is not a JSON object")
        check_names(values, cls, "architecture")
        if not isinstance(values["layers"], list):
            raise ConfigError(f"architecture: layers={values['layers']!r} is not a list of layers")
        return cls(**{**values, "layers": tuple(layer_from_dict(layer) for layer in values["layers"])})


def count_parameters(weights: Iterable[WeightSpec]) -> int:
    """Return the number of values in the trainable weights."""
    return sum(math.prod(weight.shape) for weight in weights if weight.trainable)
