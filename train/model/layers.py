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


def check_tokens(shape: Shape) -> Shape:
    """Return the shape of tokens; raise ShapeError for any other shape."""
    if len(shape) != 2:
        raise ShapeError(f"needs (token, width) but gets {shape}")
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
    """Batch normalisation of each channel of an image (https://arxiv.org/abs/1502.03167).

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
        return check_image(input_shape)

    def weight_specs(self, input_shape: Shape) -> dict[str, WeightSpec]:
        """Return scale, bias and the two moving averages, each (channel,)."""
        channels = input_shape[-1:]
        return {
            "scale": WeightSpec(channels, "ones"),
            "bias": WeightSpec(channels),
            "moving_mean": WeightSpec(channels, trainable=False),
            "moving_variance": WeightSpec(channels, "ones", trainable=False),
        }


@dataclass(frozen=True, kw_only=True)
class LayerNorm(BaseLayer):
    """Layer normalisation of each token (https://arxiv.org/abs/1607.06450).

    Attributes
    ----------
    epsilon
        Added to the variance.
    """

    epsilon: ProperFraction = 1e-6
    kind: ClassVar[str] = "layernorm"

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of the input."""
        return check_tokens(input_shape)

    def weight_specs(self, input_shape: Shape) -> dict[str, WeightSpec]:
        """Return scale and bias, each (width,)."""
        return {"scale": WeightSpec(input_shape[-1:], "ones"), "bias": WeightSpec(input_shape[-1:])}


@dataclass(frozen=True, kw_only=True)
class Patches(BaseLayer):
    """Patch embedding of a vision transformer (https://arxiv.org/abs/2010.11929).

    An image is cut into ``grid`` x ``grid`` patches, and each patch is projected linearly to one token. The bias of the
    projection differs from patch to patch: it is the learned position embedding. Where the grid does not divide the
    image, zeros are added at the far edges: 32 x 32 cells give patches of 4 x 4, 125 x 125 cells patches of 16 x 16
    with 3 rows and 3 columns of zeros.

    Attributes
    ----------
    width
        Values per token.
    grid
        Number of patches along each axis.
    """

    width: PositiveInt
    grid: PositiveInt = 8
    kind: ClassVar[str] = "patches"

    def patch_size(self, input_shape: Shape) -> tuple[int, int]:
        """Return the rows and columns of a patch."""
        return (-(-input_shape[0] // self.grid), -(-input_shape[1] // self.grid))

    def zero_padding(self, input_shape: Shape) -> tuple[int, int]:
        """Return how many rows and columns of zeros are added at the far edges."""
        rows, columns = self.patch_size(input_shape)
        return (rows * self.grid - input_shape[0], columns * self.grid - input_shape[1])

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return (grid * grid, width): the tokens row by row."""
        check_image(input_shape)
        return (self.grid**2, self.width)

    def weight_specs(self, input_shape: Shape) -> dict[str, WeightSpec]:
        """Return the kernel (row, column, in, out) and the bias (grid, grid, width)."""
        kernel = WeightSpec((*self.patch_size(input_shape), input_shape[-1], self.width), "kernel")
        return {"kernel": kernel, "bias": WeightSpec((self.grid, self.grid, self.width), "position")}


@dataclass(frozen=True, kw_only=True)
class Attention(BaseLayer):
    """Multi-head self-attention with scaled dot products (https://arxiv.org/abs/1706.03762).

    Attributes
    ----------
    heads
        Number of heads; each takes ``width / heads`` consecutive values of a token.
    """

    heads: PositiveInt
    kind: ClassVar[str] = "attention"

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of the input."""
        if check_tokens(input_shape)[1] % self.heads:
            raise ShapeError(f"needs a width that is a multiple of heads={self.heads} but gets {input_shape}")
        return input_shape

    def weight_specs(self, input_shape: Shape) -> dict[str, WeightSpec]:
        """Return kernel (width, width) and bias (width,) of ``query``, ``key``, ``value`` and ``output``."""
        projection = Dense(units=input_shape[-1]).weight_specs(input_shape)
        return {
            f"{part}.{name}": weight
            for part in ("query", "key", "value", "output")
            for name, weight in projection.items()
        }
