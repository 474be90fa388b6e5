"""Each model once, as data: what `model_torch` and `model_keras` build, counted and checked by arithmetic."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from store.errors import ConfigError
from train.model.graph import LAYERS, Layer, Node, Residual, from_dict, steps, to_dict, weights
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

INITIALISERS = ("truncated-normal", "he", "glorot")


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """A classifier of calorimeter images, ending in one logit.

    Attributes
    ----------
    name
        What ``--model`` calls it.
    source
        Where the layers and settings were published.
    layers
        In order, in channel-last terms; the normalisation before them belongs to the data.
    initialiser
        One of `INITIALISERS`: how kernels are drawn, see `train.model.weights.initial`.
    """

    name: str
    source: str
    layers: tuple[Layer, ...]
    initialiser: str

    def __post_init__(self) -> None:
        if self.initialiser not in INITIALISERS:
            raise ConfigError(f"unknown initialiser {self.initialiser!r}; known: {', '.join(INITIALISERS)}")

    @property
    def raw(self) -> bool:
        """Whether it makes features of its own out of images as they are in the file."""
        return any(isinstance(layer, ShowerFeatures) for layer in self.layers)

    @property
    def variables(self) -> int:
        """How many variables of a sample it takes besides its image."""
        return sum(layer.variables for layer in self.layers if isinstance(layer, Join))

    def joined(self, variables: int) -> "Architecture":
        """Return the architecture with that many variables joined to the input of its first dense layer.

        Raises
        ------
        ConfigError
            If it has none.
        """
        if not variables:
            return self
        first = next((place for place, layer in enumerate(self.layers) if isinstance(layer, Dense)), None)
        if first is None:
            raise ConfigError(f"model {self.name!r} has no dense layer for variables to join")
        layers = (*self.layers[:first], Join(variables=variables), *self.layers[first:])
        return replace(self, layers=layers)

    def steps(self, image_shape: Shape) -> Iterator[Node]:
        """Yield the layers with names and shapes for images (ieta, iphi, channel).

        Raises
        ------
        ShapeError
            If a layer cannot take what it is given, or the end is not one logit.
        """
        shape = tuple(image_shape)
        try:
            for step in steps(self.layers, shape):
                shape = step.output_shape
                yield step
        except ShapeError as error:
            raise ShapeError(f"model {self.name!r} does not fit images of {image_shape}: {error}") from None
        if shape != (1,):
            raise ShapeError(f"model {self.name!r} ends in {shape}; it must end in one logit, (1,)")

    def weights(self, image_shape: Shape) -> dict[str, Weight]:
        """Return every weight by its neutral name, ``conv1.kernel`` or ``residual1.body.conv1.kernel``."""
        return weights(self.steps(image_shape))

    def weight_shapes(self, image_shape: Shape) -> dict[str, Shape]:
        """Return the shape of every weight by its neutral name, in channel-last order."""
        return {name: weight.shape for name, weight in self.weights(image_shape).items()}

    def parameter_count(self, image_shape: Shape) -> int:
        """Return the number of trainable parameters."""
        return count(self.weights(image_shape))

    def describe(self, image_shape: Shape) -> str:
        """Return a table of the layers: name, output shape, parameters."""
        lines = [f"{self.name}: {self.source}"]
        for step in self.steps(image_shape):
            parameters = count(step.layer.weights(step.input_shape))
            lines.append(f"{step.name:<12} {' x '.join(map(str, step.output_shape)):<14} {parameters:>9,}")
        return "\n".join([*lines, f"{'parameters':<27} {self.parameter_count(image_shape):>9,}"])

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that `from_dict` turns back into an equal architecture."""
        return {
            "name": self.name,
            "source": self.source,
            "layers": to_dict(self.layers),
            "initialiser": self.initialiser,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Architecture":
        """Return the architecture that `to_dict` described.

        Raises
        ------
        ConfigError
            If a layer is of no known kind, or the values are not those of an architecture.
        """
        try:
            layers = from_dict(values["layers"])
            if not all(isinstance(layer, Layer) for layer in layers):
                raise TypeError(f"layers={values['layers']!r}")
            return cls(**{**values, "layers": layers})
        except (KeyError, TypeError) as error:
            raise ConfigError(f"not an architecture of this version: {error}; layers are {', '.join(LAYERS)}") from None


def count(weights: dict[str, Weight]) -> int:
    """Return the number of trainable values."""
    return sum(math.prod(weight.shape) for weight in weights.values() if weight.trained)


CNN = Architecture(
    name="cnn",
    source="reference network of the challenge (868,993 parameters on 32 x 32 x 2)",
    layers=(
        *(Conv(filters=32), Conv(filters=32), MaxPool()),
        *(Conv(filters=64), Conv(filters=64), MaxPool()),
        *(Conv(filters=128), Conv(filters=128), MaxPool()),
        Flatten(),
        *(Dense(units=256), Dropout(rate=0.4)),
        *(Dense(units=128), Dropout(rate=0.4)),
        *(Dense(units=128), Dropout(rate=0.25)),
        *(Dense(units=64), Dropout(rate=0.3)),
        Dense(units=1, activation="linear"),
    ),
    initialiser="truncated-normal",
)

CNN_SMALL = Architecture(
    name="cnn-small",
    source="CNN of a GSoC 2023 entry; weights start as Keras' defaults would, but from a normal distribution",
    layers=(
        *(Conv(filters=filters, padding="valid") for filters in (32, 64)),
        MaxPool(),
        *(Conv(filters=64, padding="valid") for _ in range(3)),
        MaxPool(),
        Flatten(),
        *(Dense(units=64), Dense(units=64), Dense(units=1, activation="linear")),
    ),
    initialiser="glorot",
)


def basic_block(filters: int, stride: int = 1, *, kernel: tuple[int, int] = (3, 3), project: bool = False) -> Residual:
    """Return two convolutions with batch normalisation, beside an identity or a 1x1 convolution."""
    return Residual(
        body=(
            *normalised(filters, kernel, stride=stride),
            *normalised(filters, kernel, activation="linear"),
        ),
        shortcut=normalised(filters, (1, 1), stride=stride, activation="linear") if project else (),
        activation="relu",
    )


def normalised(
    filters: int,
    kernel: tuple[int, int] = (3, 3),
    *,
    stride: int = 1,
    padding: Literal["same", "valid"] = "same",
    activation: Activation = "relu",
) -> tuple[Conv, BatchNorm]:
    """Return a convolution without bias, and a batch normalisation."""
    conv = Conv(filters=filters, kernel=kernel, stride=stride, padding=padding, bias=False, activation="linear")
    return conv, BatchNorm(activation=activation)


RESNET15 = Architecture(
    name="resnet15",
    source="ResNet-15 of a GSoC 2024 entry; weights as in https://arxiv.org/abs/1502.01852",
    layers=(
        *normalised(16),
        *(basic_block(16), basic_block(16)),
        *(basic_block(32, 2, project=True), basic_block(32)),
        *(basic_block(64, 2, project=True), basic_block(64)),
        GlobalPool(),
        Dense(units=1, activation="linear"),
    ),
    initialiser="he",
)


def encoder_block(width: int, heads: int) -> tuple[Residual, Residual]:
    """Return a block of a transformer, normalised before each half: attention, then a network on each token."""
    network = Dense(units=4 * width, activation="gelu"), Dense(units=width, activation="linear")
    return Residual(body=(LayerNorm(), Attention(heads=heads))), Residual(body=(LayerNorm(), *network))


VIT = Architecture(
    name="vit",
    source="vision transformer (https://arxiv.org/abs/2010.11929), as large as the reference network, no dropout",
    layers=(
        Patches(width=128),
        *(layer for _ in range(4) for layer in encoder_block(width=128, heads=4)),
        *(LayerNorm(), GlobalPool()),
        Dense(units=1, activation="linear"),
    ),
    initialiser="glorot",
)


# Beyond four rows of the seed there is noise; along phi, bremsstrahlung reaches the edge of the image. One convolution
# over all rows leaves a line of cells along phi at full resolution, on which deep layers cost little; where a cluster
# stands on it is kept to the end.
SHOWER = Architecture(
    name="shower",
    source="ours: the central rows, then a residual network along phi",
    layers=(
        *(ShowerFeatures(), Crop(rows=9, columns=31)),
        *normalised(24),
        *normalised(64, (9, 1), padding="valid"),
        *(basic_block(64, kernel=(1, 3)) for _ in range(3)),
        *normalised(32, (1, 1)),
        *(Flatten(), Dropout(rate=0.5), Dense(units=64), Dense(units=1, activation="linear")),
    ),
    initialiser="he",
)

JET_CNN = Architecture(
    name="jet-cnn",
    source="CNN for jets of a GSoC 2023 entry: a single filter, dropout 0.5; its other layers were not published",
    layers=(
        *(Conv(filters=1), MaxPool(), Flatten()),
        *(Dense(units=64), Dropout(rate=0.5), Dense(units=1, activation="linear")),
    ),
    initialiser="glorot",
)

# At full resolution the reference network takes fifteen times as long as on showers; a jet's cells lie far apart.
JET_CNN_DEEP = Architecture(
    name="jet-cnn-deep",
    source="ours: the reference network of the challenge behind a layer that takes 125 x 125 to 31 x 31",
    layers=(Conv(filters=32, stride=2), MaxPool(), *CNN.layers),
    initialiser="he",
)

ARCHITECTURES = {
    architecture.name: architecture for architecture in (CNN, CNN_SMALL, RESNET15, VIT, SHOWER, JET_CNN, JET_CNN_DEEP)
}


def find_architecture(model: str) -> Architecture:
    """Return the architecture of a name, or the one in a JSON file, as `Architecture.to_dict` describes it.

    Raises
    ------
    ConfigError
        If there is none of that name, or the file holds none.
    """
    if not model.endswith(".json"):
        if model not in ARCHITECTURES:
            raise ConfigError(f"unknown model {model!r}; known: {', '.join(ARCHITECTURES)}, and files ending in .json")
        return ARCHITECTURES[model]
    try:
        return Architecture.from_dict(json.loads(Path(model).read_bytes()))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{model}: holds no architecture ({error})") from None
