"""The kinds of layers that models are made of: what shapes they turn into what, and which weights they hold.

Shapes are without the batch: an image is (ieta, iphi, channel), tokens are (token, width), a row is (width,).
"""

import dataclasses
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

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


class Weightless:
    """A layer without weights."""

    def weights(self, shape: Shape) -> dict[str, Weight]:
        """Return nothing."""
        return {}


def _image(shape: Shape, rows: int = 1, columns: int = 1) -> Shape:
    """Return the shape if it is that of an image of at least that size."""
    if len(shape) != 3 or shape[0] < rows or shape[1] < columns:
        least = f" of at least {rows} x {columns}" if max(rows, columns) > 1 else ""
        raise ShapeError(f"needs (ieta, iphi, channel){least} but gets {shape}")
    return shape


def _tokens(shape: Shape) -> Shape:
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
    start
        ``zeros`` lets the body of a residual start at nothing, so that the whole starts as the identity.
    """

    filters: int
    kernel: tuple[int, int] = (3, 3)
    stride: int = 1
    padding: Literal["same", "valid"] = "same"
    bias: bool = True
    activation: Activation = "relu"
    start: Literal["kernel", "zeros"] = "kernel"
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
        ieta, iphi, _ = _image(shape, rows, columns)
        return ((ieta - rows) // self.stride + 1, (iphi - columns) // self.stride + 1, self.filters)

    def weights(self, shape: Shape) -> dict[str, Weight]:
        """Return the kernel (row, column, in, out) and the bias."""
        kernel = Weight((*self.kernel, shape[-1], self.filters), self.start)
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
        return _image(shape)

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
        return _tokens(shape)

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
        _image(shape)
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
        if _tokens(shape)[1] % self.heads:
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


@dataclass(frozen=True, kw_only=True)
class MaxPool(Weightless):
    """Largest value of every `size` x `size` patch; a remainder at the far edges is dropped."""

    size: int = 2
    kind: ClassVar[str] = "maxpool"

    def output_shape(self, shape: Shape) -> Shape:
        """Return (ieta // size, iphi // size, channel)."""
        ieta, iphi, channels = _image(shape, self.size, self.size)
        return (ieta // self.size, iphi // self.size, channels)


@dataclass(frozen=True, kw_only=True)
class GlobalPool(Weightless):
    """The average of every channel over an image, or of every width over tokens.

    Attributes
    ----------
    maximum
        Whether the largest values follow the averages.
    """

    maximum: bool = False
    kind: ClassVar[str] = "globalpool"

    def output_shape(self, shape: Shape) -> Shape:
        """Return (channel,), or twice that with the maximum."""
        if len(shape) == 1:
            raise ShapeError(f"needs an image or tokens but gets {shape}")
        return (shape[-1] * (1 + self.maximum),)


@dataclass(frozen=True, kw_only=True)
class Flatten(Weightless):
    """All values in one row, channel running fastest."""

    kind: ClassVar[str] = "flatten"

    def output_shape(self, shape: Shape) -> Shape:
        """Return (ieta * iphi * channel,)."""
        return (math.prod(shape),)


@dataclass(frozen=True, kw_only=True)
class Dropout(Weightless):
    """In training, a share `rate` of the values is zeroed and the rest scaled up to the same mean."""

    rate: float
    kind: ClassVar[str] = "dropout"

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape unchanged."""
        return shape


@dataclass(frozen=True, kw_only=True)
class Crop(Weightless):
    """The middle of an image: `rows` x `columns` around the cell (ieta // 2, iphi // 2), the seed of a shower.

    Both are odd, so that the seed is in the middle of what remains and flips map it onto itself.
    """

    rows: int
    columns: int
    kind: ClassVar[str] = "crop"

    def margins(self, shape: Shape) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return how many rows go at the near and far edge, and how many columns."""
        near = (shape[0] // 2 - self.rows // 2, shape[1] // 2 - self.columns // 2)
        return (near[0], shape[0] - near[0] - self.rows), (near[1], shape[1] - near[1] - self.columns)

    def output_shape(self, shape: Shape) -> Shape:
        """Return (rows, columns, channel)."""
        _image(shape, self.rows, self.columns)
        if self.rows % 2 == 0 or self.columns % 2 == 0:
            raise ShapeError(f"needs odd numbers of rows and columns, not {self.rows} x {self.columns}")
        return (self.rows, self.columns, shape[-1])


@dataclass(frozen=True, kw_only=True)
class ShowerFeatures(Weightless):
    """What says something about a shower, at every cell, from energy E and time t as they are in the file.

    Five channels: the share of the image's energy, E / sum E; its square root; log(1 + E / u) / log(1 + 1 / u), which
    lifts cells near the threshold u of the readout; t E / v, the time in units of its resolution, which is v / E; and
    the image's energy sum E, everywhere the same. Negative energies count as none. An empty image gives zeros.

    Attributes
    ----------
    energy_unit
        u, in units of the file (50 GeV): 0.002 is 100 MeV.
    time_unit
        v, in units of the file (50 GeV x 50 ns).
    """

    energy_unit: float = 0.002
    time_unit: float = 6e-4
    kind: ClassVar[str] = "features"

    def output_shape(self, shape: Shape) -> Shape:
        """Return (ieta, iphi, 5)."""
        if len(shape) != 3 or shape[2] != 2:
            raise ShapeError(f"needs images of energy and time, (ieta, iphi, 2), but gets {shape}")
        return (*shape[:2], 5)


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
    | Crop
    | ShowerFeatures
)
LAYERS: dict[str, type[Layer]] = {layer.kind: layer for layer in get_args(Layer)}


@dataclass(frozen=True, kw_only=True)
class Step:
    """One layer in its place: its unique name, and the shapes (without the batch) that enter and leave it."""

    name: str
    layer: Layer
    input_shape: Shape
    output_shape: Shape


def steps(layers: Iterable[Layer], shape: Shape) -> Iterator[Step]:
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
            step = Step(name=name, layer=layer, input_shape=shape, output_shape=layer.output_shape(shape))
        except ShapeError as error:
            raise ShapeError(f"{name} {error}") from None
        shape = step.output_shape
        yield step


def weights(found: Iterable[Step]) -> dict[str, Weight]:
    """Return every weight of the steps by its neutral name, ``conv1.kernel`` and so on."""
    return {
        f"{step.name}.{name}": weight for step in found for name, weight in step.layer.weights(step.input_shape).items()
    }


def to_json(value: Any) -> Any:
    """Return plain values for a layer, for a tuple of layers, or for an attribute of one."""
    if isinstance(value, tuple):
        return [to_json(item) for item in value]
    if isinstance(value, Layer):
        attributes = {field.name: to_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"kind": value.kind, **attributes}
    return value


def from_json(value: Any) -> Any:
    """Return what `to_json` described.

    Raises
    ------
    KeyError, TypeError
        If it is no layer.
    """
    if isinstance(value, list):
        return tuple(from_json(item) for item in value)
    if isinstance(value, dict):
        return LAYERS[value["kind"]](**{name: from_json(item) for name, item in value.items() if name != "kind"})
    return value
