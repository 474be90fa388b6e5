"""Layers with weights: the shape of their output, and the shapes of their weights.

Shapes are array shapes without the batch axis: (ieta, iphi, channel) for images, (token, width) for tokens, (width,)
for vectors.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from store.errors import ConfigError
from train.model.attributes import Flag, PositiveInt, PositiveIntPair, ProperFraction, check_attributes, one_of

Shape = tuple[int, ...]
Activation = Annotated[Literal["linear", "relu", "gelu"], one_of("linear", "relu", "gelu")]
"""``gelu`` is the exact function with erf (https://arxiv.org/abs/1606.08415), not its tanh approximation."""
Padding = Annotated[Literal["same", "valid"], one_of("same", "valid")]


class ShapeError(ConfigError):
    """A layer cannot take an input of the shape that the layer before it returns."""


@dataclass(frozen=True)
class WeightSpec:
    """Shape and initial values of one weight array of a layer.

    Attributes
    ----------
    shape
        Shape in channel-last order.
    initial
        Values before training: ``zeros``, ``ones``, ``position`` (small random numbers), or ``kernel`` (random numbers
        drawn by the architecture's initialiser).
    trainable
        Whether the optimiser changes the values; it does not change moving averages.
    """

    shape: Shape
    initial: Literal["zeros", "ones", "position", "kernel"] = "zeros"
    trainable: bool = True


class BaseLayer:
    """Base of all layers: checks the attributes when a layer is made, and has no weights."""

    kind: ClassVar[str]

    def __post_init__(self) -> None:
        check_attributes(self, self.kind)

    def weight_specs(self, input_shape: Shape) -> dict[str, WeightSpec]:
        """Return the weights of the layer by name, for inputs of a shape; none."""
        return {}


def check_image(shape: Shape, rows: int = 1, columns: int = 1) -> Shape:
    """Return the shape of an image of at least rows x columns; raise ShapeError for any other shape."""
    if len(shape) != 3 or shape[0] < rows or shape[1] < columns:
        minimum = f" of at least {rows} x {columns}" if max(rows, columns) > 1 else ""
        raise ShapeError(f"needs (ieta, iphi, channel){minimum} but gets {shape}")
    return shape


@dataclass(frozen=True, kw_only=True)
class Conv(BaseLayer):
    """Two-dimensional convolution.

    Attributes
    ----------
    filters
        Number of output channels.
    kernel
        Rows and columns of the kernel; both odd if the padding is ``same``.
    stride
        Stride along rows and columns.
    padding
        ``same`` adds ``kernel // 2`` zeros on every side, whatever the stride; ``valid`` adds none.
    bias
        Whether a bias is added.
    activation
        Activation function of the output.
    """

    filters: PositiveInt
    kernel: PositiveIntPair = (3, 3)
    stride: PositiveInt = 1
    padding: Padding = "same"
    bias: Flag = True
    activation: Activation = "relu"
    kind: ClassVar[str] = "conv"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.padding == "same" and not all(size % 2 for size in self.kernel):
            raise ConfigError(f"conv: kernel={self.kernel} is not odd; padding 'same' needs an odd kernel")

    @property
    def zero_padding(self) -> tuple[int, int]:
        """Rows and columns of zeros added on every side."""
        return (self.kernel[0] // 2, self.kernel[1] // 2) if self.padding == "same" else (0, 0)

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return (ieta, iphi, filters) for an image; ``same`` with stride 1 keeps ieta and iphi."""
        rows, columns = (size - 2 * zeros for size, zeros in zip(self.kernel, self.zero_padding, strict=True))
        ieta, iphi, _ = check_image(input_shape, rows, columns)
        return ((ieta - rows) // self.stride + 1, (iphi - columns) // self.stride + 1, self.filters)

    def weight_specs(self, input_shape: Shape) -> dict[str, WeightSpec]:
        """Return the kernel (row, column, in, out) and the bias (out,)."""
        kernel = WeightSpec((*self.kernel, input_shape[-1], self.filters), "kernel")
        return {"kernel": kernel, **({"bias": WeightSpec((self.filters,))} if self.bias else {})}


@dataclass(frozen=True, kw_only=True)
class Dense(BaseLayer):
    """Fully connected layer with a bias; applied to each token separately if the input is tokens.

    Attributes
    ----------
    units
        Number of output values.
    activation
        Activation function of the output.
    """

    units: PositiveInt
    activation: Activation = "relu"
    kind: ClassVar[str] = "dense"

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return (units,) for a vector, (token, units) for tokens."""
        if len(input_shape) not in (1, 2):
            raise ShapeError(f"needs a vector or tokens but gets {input_shape}; is a flatten layer missing?")
        return (*input_shape[:-1], self.units)

    def weight_specs(self, input_shape: Shape) -> dict[str, WeightSpec]:
        """Return the kernel (in, out) and the bias (out,)."""
        kernel = WeightSpec((input_shape[-1], self.units), "kernel")
        return {"kernel": kernel, "bias": WeightSpec((self.units,))}


@dataclass(frozen=True, kw_only=True)
class BatchNorm(BaseLayer):
    """Batch normalisation of each channel of an image or tokens (https://arxiv.org/abs/1502.03167).

    Training normalises with the mean and variance of the batch, and updates a moving average of both,
    ``average = m * average + (1 - m) * batch``, with which the model scores. The variance is the biased one (divided by
    n, not n - 1), in the moving average too.

    Attributes
    ----------
    momentum
        m, the weight of the old moving average.
    epsilon
        Added to the variance.
    activation
        Activation function of the output.
    """

    momentum: ProperFraction = 0.9
    epsilon: ProperFraction = 1e-5
    activation: Activation = "linear"
    kind: ClassVar[str] = "batchnorm"

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of the input."""
        if len(input_shape) not in (2, 3):
            raise ShapeError(f"needs an image or tokens but gets {input_shape}")
        return input_shape

    def weight_specs(self, input_shape: Shape) -> dict[str, WeightSpec]:
        """Return scale, bias and the two moving averages, each (channel,)."""
        channels = input_shape[-1:]
        return {
            "scale": WeightSpec(channels, "ones"),
            "bias": WeightSpec(channels),
            "moving_mean": WeightSpec(channels, trainable=False),
            "moving_variance": WeightSpec(channels, "ones", trainable=False),
        }
