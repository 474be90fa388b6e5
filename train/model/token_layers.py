"""Layers that make tokens or work on tokens: the shape of their output, and the shapes of their weights."""

from dataclasses import dataclass
from typing import ClassVar

from train.model.attributes import PositiveInt, ProperFraction
from train.model.layers import BaseLayer, Dense, Shape, ShapeError, WeightSpec, check_image


def check_tokens(shape: Shape) -> Shape:
    """Return the shape of tokens; raise ShapeError for any other shape."""
    if len(shape) != 2:
        raise ShapeError(f"needs (token, width) but gets {shape}")
    return shape


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
class Tokens(BaseLayer):
    """One token per cell of an image: its channels, to which a learned position embedding is added."""

    kind: ClassVar[str] = "tokens"

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return (ieta * iphi, channel): the tokens row by row."""
        ieta, iphi, channels = check_image(input_shape)
        return (ieta * iphi, channels)

    def weight_specs(self, input_shape: Shape) -> dict[str, WeightSpec]:
        """Return the position embedding (ieta * iphi, channel)."""
        return {"position": WeightSpec(self.output_shape(input_shape), "position")}


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
