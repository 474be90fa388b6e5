"""Each model once, as data: what `model_torch` and `model_keras` build, counted and checked by arithmetic."""

import dataclasses
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from store.errors import ConfigError

Shape = tuple[int, ...]


class ShapeError(ConfigError):
    """A layer cannot take what the layer before it gives."""


@dataclass(frozen=True, kw_only=True)
class Conv:
    """Convolution with stride 1, padded with zeros to keep the image's size, and a bias.

    Attributes
    ----------
    filters
        Channels that come out.
    kernel
        Size of the square kernel.
    activation
        ``"relu"`` or ``"linear"``.
    """

    filters: int
    kernel: int = 3
    activation: str = "relu"
    kind: ClassVar[str] = "conv"

    def output_shape(self, shape: Shape) -> Shape:
        """Return (ieta, iphi, filters) for an image (ieta, iphi, channel)."""
        if len(shape) != 3:
            raise ShapeError(f"needs (ieta, iphi, channel) but gets {shape}")
        return (*shape[:2], self.filters)

    def weight_shapes(self, shape: Shape) -> dict[str, Shape]:
        """Return the shapes of the kernel (row, column, in, out) and the bias."""
        return {"kernel": (self.kernel, self.kernel, shape[-1], self.filters), "bias": (self.filters,)}


@dataclass(frozen=True, kw_only=True)
class MaxPool:
    """Largest value of every `size` x `size` patch; a remainder at the far edges is dropped."""

    size: int = 2
    kind: ClassVar[str] = "maxpool"

    def output_shape(self, shape: Shape) -> Shape:
        """Return (ieta // size, iphi // size, channel)."""
        if len(shape) != 3 or min(shape[:2]) < self.size:
            raise ShapeError(f"needs (ieta, iphi, channel) of at least {self.size} x {self.size} but gets {shape}")
        return (shape[0] // self.size, shape[1] // self.size, shape[2])

    def weight_shapes(self, shape: Shape) -> dict[str, Shape]:
        """Return nothing: the layer has no weights."""
        return {}


@dataclass(frozen=True, kw_only=True)
class Flatten:
    """All values in one row, channel running fastest."""

    kind: ClassVar[str] = "flatten"

    def output_shape(self, shape: Shape) -> Shape:
        """Return (ieta * iphi * channel,)."""
        return (math.prod(shape),)

    def weight_shapes(self, shape: Shape) -> dict[str, Shape]:
        """Return nothing: the layer has no weights."""
        return {}


@dataclass(frozen=True, kw_only=True)
class Dense:
    """Every output from every input, and a bias.

    Attributes
    ----------
    units
        Values that come out.
    activation
        ``"relu"`` or ``"linear"``.
    """

    units: int
    activation: str = "relu"
    kind: ClassVar[str] = "dense"

    def output_shape(self, shape: Shape) -> Shape:
        """Return (units,)."""
        if len(shape) != 1:
            raise ShapeError(f"needs one row of values but gets {shape}")
        return (self.units,)

    def weight_shapes(self, shape: Shape) -> dict[str, Shape]:
        """Return the shapes of the kernel (in, out) and the bias."""
        return {"kernel": (shape[0], self.units), "bias": (self.units,)}


@dataclass(frozen=True, kw_only=True)
class Dropout:
    """In training, a share `rate` of the values is zeroed and the rest scaled up to the same mean."""

    rate: float
    kind: ClassVar[str] = "dropout"

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape unchanged."""
        return shape

    def weight_shapes(self, shape: Shape) -> dict[str, Shape]:
        """Return nothing: the layer has no weights."""
        return {}


Layer = Conv | MaxPool | Flatten | Dense | Dropout
LAYERS: dict[str, type[Layer]] = {layer.kind: layer for layer in (Conv, MaxPool, Flatten, Dense, Dropout)}


@dataclass(frozen=True, kw_only=True)
class Step:
    """One layer in its place: its unique name, and the shapes (without the batch) that enter and leave it."""

    name: str
    layer: Layer
    input_shape: Shape
    output_shape: Shape


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
    kernel_deviation
        Standard deviation of the normal distribution, cut at two of them, that kernels start from. Biases start at 0.
    """

    name: str
    source: str
    layers: tuple[Layer, ...]
    kernel_deviation: float

    def steps(self, image_shape: Shape) -> Iterator[Step]:
        """Yield the layers with names and shapes for images (ieta, iphi, channel).

        Raises
        ------
        ShapeError
            If a layer cannot take what it is given, or the end is not one logit.
        """
        count: Counter[str] = Counter()
        shape = tuple(image_shape)
        for layer in self.layers:
            count[layer.kind] += 1
            name = f"{layer.kind}{count[layer.kind]}"
            try:
                step = Step(name=name, layer=layer, input_shape=shape, output_shape=layer.output_shape(shape))
            except ShapeError as error:
                raise ShapeError(f"model {self.name!r} does not fit images of {image_shape}: {name} {error}") from None
            shape = step.output_shape
            yield step
        if shape != (1,):
            raise ShapeError(f"model {self.name!r} ends in {shape}; it must end in one logit, (1,)")

    def weight_shapes(self, image_shape: Shape) -> dict[str, Shape]:
        """Return the shape of every weight by its neutral name, ``conv1.kernel`` and so on, in channel-last order."""
        return {
            f"{step.name}.{weight}": shape
            for step in self.steps(image_shape)
            for weight, shape in step.layer.weight_shapes(step.input_shape).items()
        }

    def parameter_count(self, image_shape: Shape) -> int:
        """Return the number of trainable parameters."""
        return sum(math.prod(shape) for shape in self.weight_shapes(image_shape).values())

    def describe(self, image_shape: Shape) -> str:
        """Return a table of the layers: name, output shape, parameters."""
        lines = [f"{self.name}: {self.source}"]
        for step in self.steps(image_shape):
            parameters = sum(math.prod(shape) for shape in step.layer.weight_shapes(step.input_shape).values())
            lines.append(f"{step.name:<10} {' x '.join(map(str, step.output_shape)):<14} {parameters:>9,}")
        return "\n".join([*lines, f"{'parameters':<25} {self.parameter_count(image_shape):>9,}"])

    def to_json(self) -> dict[str, Any]:
        """Return plain values that `from_json` turns back into an equal architecture."""
        layers = [{"kind": layer.kind, **dataclasses.asdict(layer)} for layer in self.layers]
        return {**dataclasses.asdict(self), "layers": layers}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Architecture":
        """Return the architecture that `to_json` described.

        Raises
        ------
        ConfigError
            If a layer is of no known kind, or the values are not those of an architecture.
        """
        try:
            layers = tuple(
                LAYERS[layer["kind"]](**{key: value for key, value in layer.items() if key != "kind"})
                for layer in values["layers"]
            )
            return cls(**{**values, "layers": layers})
        except (KeyError, TypeError) as error:
            raise ConfigError(f"not an architecture of this version: {error}; layers are {', '.join(LAYERS)}") from None


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
    kernel_deviation=0.05,
)

ARCHITECTURES = {architecture.name: architecture for architecture in (CNN,)}
