"""Layers with weights: what shapes they turn into what, and which weights they hold.

Shapes are without the batch: an image is (ieta, iphi, channel), tokens are (token, width), a row is (width,).
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from store.errors import ConfigError

Shape = tuple[int, ...]
Activation = Literal["linear", "relu", "gelu"]
"""``gelu`` is the exact one, with the error function."""


class ShapeError(ConfigError):
    """A layer cannot take what the layer before it gives."""


@dataclass(frozen=True)
class Weight:
    """One array of a layer.

    Attributes
    ----------
    shape
        In channel-last order.
    start
        What training starts from: ``zeros``, ``ones``, ``position`` (drawn, small), or ``kernel`` (drawn as the
        architecture says).
    trained
        Whether the optimiser changes it; averages that a layer keeps for itself are not.
    """

    shape: Shape
    start: Literal["zeros", "ones", "position", "kernel"] = "zeros"
    trained: bool = True


def check_image(shape: Shape, rows: int = 1, columns: int = 1) -> Shape:
    """Return the shape if it is that of an image of at least that size; else raise ShapeError."""
    if len(shape) != 3 or shape[0] < rows or shape[1] < columns:
        least = f" of at least {rows} x {columns}" if max(rows, columns) > 1 else ""
        raise ShapeError(f"needs (ieta, iphi, channel){least} but gets {shape}")
    return shape


def check_tokens(shape: Shape) -> Shape:
    """Return the shape if it is that of tokens; else raise ShapeError."""
    if len(shape) != 2:
        raise ShapeError(f"needs (token, width) but gets {shape}")
    return shape


@dataclass(frozen=True, kw_only=True)
class Conv:
    """Convolution.

    Attributes
    ----------
    filters
        Channels that come out.
    kernel
        Rows and columns of the kernel.
    stride
        Step in rows and columns from one output to the next.
    padding
        ``same`` adds ``kernel // 2`` zeros on every side, whatever the stride; ``valid`` adds none.
    bias
        Whether there is one.
    activation
        What follows.
    """

    filters: int
    kernel: tuple[int, int] = (3, 3)
    stride: int = 1
    padding: Literal["same", "valid"] = "same"
    bias: bool = True
    activation: Activation = "relu"
    kind: ClassVar[str] = "conv"

    @property
    def zeros(self) -> tuple[int, int]:
        """Rows and columns of zeros added on every side."""
        return (self.kernel[0] // 2, self.kernel[1] // 2) if self.padding == "same" else (0, 0)

    def output_shape(self, shape: Shape) -> Shape:
        """Return (ieta, iphi, filters) for an image; ``same`` with stride 1 keeps its size."""
        if self.padding == "same" and not all(size % 2 for size in self.kernel):
            raise ShapeError(f"pads on both sides alike, which needs an odd kernel, not {self.kernel}")
        rows, columns = (size - 2 * zeros for size, zeros in zip(self.kernel, self.zeros, strict=True))
        ieta, iphi, _ = check_image(shape, rows, columns)
        return ((ieta - rows) // self.stride + 1, (iphi - columns) // self.stride + 1, self.filters)

    def weights(self, shape: Shape) -> dict[str, Weight]:
        """Return the kernel (row, column, in, out) and the bias."""
        kernel = Weight((*self.kernel, shape[-1], self.filters), "kernel")
        return {"kernel": kernel, **({"bias": Weight((self.filters,))} if self.bias else {})}


@dataclass(frozen=True, kw_only=True)
class Dense:
    """Every output from every input, and a bias; on tokens, for each alone.

    Attributes
    ----------
    units
        Values that come out.
    activation
        What follows.
    """

    units: int
    activation: Activation = "relu"
    kind: ClassVar[str] = "dense"

    def output_shape(self, shape: Shape) -> Shape:
        """Return (units,) for a row, (token, units) for tokens."""
        if len(shape) not in (1, 2):
            raise ShapeError(f"needs one row of values, or tokens, but gets {shape}")
        return (*shape[:-1], self.units)

    def weights(self, shape: Shape) -> dict[str, Weight]:
        """Return the kernel (in, out) and the bias."""
        return {"kernel": Weight((shape[-1], self.units), "kernel"), "bias": Weight((self.units,))}


@dataclass(frozen=True, kw_only=True)
class BatchNorm:
    """Each channel of an image to mean 0 and variance 1, then scaled and shifted (https://arxiv.org/abs/1502.03167).

    Training takes the moments of the batch and keeps moving averages of them, ``m * average + (1 - m) * moment``, which
    scoring takes. The variance is that of the batch itself (divided by n, not n - 1), in the average too.

    Attributes
    ----------
    momentum
        Share m of the old average.
    epsilon
        Added to the variance.
    activation
        What follows.
    """

    momentum: float = 0.9
    epsilon: float = 1e-5
    activation: Activation = "linear"
    kind: ClassVar[str] = "batchnorm"

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape unchanged."""
        return check_image(shape)

    def weights(self, shape: Shape) -> dict[str, Weight]:
        """Return scale, bias and the two moving averages, each (channel,)."""
        channels = shape[-1:]
        return {
            "scale": Weight(channels, "ones"),
            "bias": Weight(channels),
            "moving_mean": Weight(channels, trained=False),
            "moving_variance": Weight(channels, "ones", trained=False),
        }


@dataclass(frozen=True, kw_only=True)
class LayerNorm:
    """Each token to mean 0 and variance 1, then scaled and shifted (https://arxiv.org/abs/1607.06450).

    Attributes
    ----------
    epsilon
        Added to the variance.
    """

    epsilon: float = 1e-6
    kind: ClassVar[str] = "layernorm"

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape unchanged."""
        return check_tokens(shape)

    def weights(self, shape: Shape) -> dict[str, Weight]:
        """Return scale and bias, (width,)."""
        return {"scale": Weight(shape[-1:], "ones"), "bias": Weight(shape[-1:])}


@dataclass(frozen=True, kw_only=True)
class Patches:
    """An image cut into `grid` x `grid` patches, each projected to one token; each place has a bias of its own.

    That bias is the learned position. A patch has as few rows and columns as cover the image; where the grid does not
    divide it, zeros are added at the far edges: 32 x 32 makes patches of 4 x 4, 125 x 125 of 16 x 16 with 3 of zeros.

    Attributes
    ----------
    width
        Values a token.
    grid
        Patches along each axis.
    """

    width: int
    grid: int = 8
    kind: ClassVar[str] = "patches"

    def patch(self, shape: Shape) -> tuple[int, int]:
        """Return rows and columns of a patch."""
        return (-(-shape[0] // self.grid), -(-shape[1] // self.grid))

    def padding(self, shape: Shape) -> tuple[int, int]:
        """Return rows and columns of zeros added at the far edges."""
        rows, columns = self.patch(shape)
        return (rows * self.grid - shape[0], columns * self.grid - shape[1])

    def output_shape(self, shape: Shape) -> Shape:
        """Return (grid * grid, width), tokens row by row."""
        check_image(shape)
        return (self.grid**2, self.width)

    def weights(self, shape: Shape) -> dict[str, Weight]:
        """Return the kernel (row, column, in, out) and the bias (grid, grid, width)."""
        kernel = Weight((*self.patch(shape), shape[-1], self.width), "kernel")
        return {"kernel": kernel, "bias": Weight((self.grid, self.grid, self.width), "position")}


@dataclass(frozen=True, kw_only=True)
class Attention:
    """Every token looks at all tokens: scaled dot products, several heads (https://arxiv.org/abs/1706.03762).

    Attributes
    ----------
    heads
        Each has ``width / heads`` of the width, in order.
    """

    heads: int
    kind: ClassVar[str] = "attention"

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape unchanged."""
        if check_tokens(shape)[1] % self.heads:
            raise ShapeError(f"needs a width that {self.heads} heads divide but gets {shape}")
        return shape

    def weights(self, shape: Shape) -> dict[str, Weight]:
        """Return kernel (width, width) and bias (width,) of ``query``, ``key``, ``value`` and ``output``."""
        projection = Dense(units=shape[-1]).weights(shape)
        return {
            f"{part}.{name}": weight
            for part in ("query", "key", "value", "output")
            for name, weight in projection.items()
        }
