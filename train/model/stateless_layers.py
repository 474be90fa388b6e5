"""Layers without weights: the shape of their output."""

import math
from dataclasses import dataclass
from typing import ClassVar

from train.model.attributes import Flag, OddInt, PositiveFloat, PositiveInt, ProperFraction
from train.model.layers import BaseLayer, Shape, ShapeError, check_image


@dataclass(frozen=True, kw_only=True)
class MaxPool(BaseLayer):
    """Largest value of every ``size`` x ``size`` block; rows and columns left over at the far edges are dropped."""

    size: PositiveInt = 2
    kind: ClassVar[str] = "maxpool"

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return (ieta // size, iphi // size, channel)."""
        ieta, iphi, channels = check_image(input_shape, self.size, self.size)
        return (ieta // self.size, iphi // self.size, channels)


@dataclass(frozen=True, kw_only=True)
class GlobalPool(BaseLayer):
    """Global average pooling: the mean of each channel over the image, or of each component over the tokens.

    Attributes
    ----------
    maximum
        Whether the maximum of each channel is appended to the means.
    """

    maximum: Flag = False
    kind: ClassVar[str] = "globalpool"

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return (channel,), or (2 * channel,) with the maximum."""
        if len(input_shape) == 1:
            raise ShapeError(f"needs an image or tokens but gets {input_shape}")
        return (input_shape[-1] * (1 + self.maximum),)


@dataclass(frozen=True, kw_only=True)
class Flatten(BaseLayer):
    """All values as one vector, in channel-last order: the channel runs fastest."""

    kind: ClassVar[str] = "flatten"

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return (ieta * iphi * channel,)."""
        return (math.prod(input_shape),)


@dataclass(frozen=True, kw_only=True)
class Dropout(BaseLayer):
    """Dropout, in training only (https://jmlr.org/papers/v15/srivastava14a.html).

    A fraction ``rate`` of the values is set to zero, and the rest is divided by ``1 - rate``.
    """

    rate: ProperFraction
    kind: ClassVar[str] = "dropout"

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of the input."""
        return input_shape


@dataclass(frozen=True, kw_only=True)
class Crop(BaseLayer):
    """The ``rows`` x ``columns`` cells around the cell (ieta // 2, iphi // 2), which is the seed of a shower.

    Both numbers are odd: the seed is the middle of the cropped image, and flips about the seed keep it in place.
    """

    rows: OddInt
    columns: OddInt
    kind: ClassVar[str] = "crop"

    def margins(self, input_shape: Shape) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return the rows cut off at the near and far edge, and the columns cut off at the near and far edge."""
        top, left = input_shape[0] // 2 - self.rows // 2, input_shape[1] // 2 - self.columns // 2
        return (top, input_shape[0] - top - self.rows), (left, input_shape[1] - left - self.columns)

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return (rows, columns, channel)."""
        check_image(input_shape, self.rows, self.columns)
        return (self.rows, self.columns, input_shape[-1])


@dataclass(frozen=True, kw_only=True)
class ShowerFeatures(BaseLayer):
    """Features of every cell, computed from the energy E and the time t as they are in the source file.

    The four output channels are: the cell's fraction of the image's energy, E / sum E; the square root of this
    fraction; log(1 + E / u) / log(1 + 1 / u), which enhances cells near the readout threshold u; and the energy of the
    image, sum E, the same in all cells. With ``time``, there is a fifth channel: t E / v, the time divided by its
    resolution v / E. Negative energies count as zero. An image without energy gives zeros.

    Attributes
    ----------
    time
        Whether there is a fifth channel.
    energy_unit
        u, in the unit of the source file, 50 GeV: 0.002 is 100 MeV.
    time_unit
        v, in the unit of the source file, 50 GeV x 50 ns.
    """

    time: Flag = False
    energy_unit: PositiveFloat = 0.002
    time_unit: PositiveFloat = 6e-4
    kind: ClassVar[str] = "features"

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return (ieta, iphi, 4), or (ieta, iphi, 5) with the time."""
        if len(input_shape) != 3 or input_shape[2] != 2:
            raise ShapeError(f"needs images of energy and time, (ieta, iphi, 2), but gets {input_shape}")
        return (*input_shape[:2], 4 + self.time)


@dataclass(frozen=True, kw_only=True)
class Join(BaseLayer):
    """Appends the standardised variables of a sample to a vector; see `train.variables.VariableInputs`.

    Attributes
    ----------
    variables
        Number of variables.
    """

    variables: PositiveInt
    kind: ClassVar[str] = "join"

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return (width + variables,)."""
        if len(input_shape) != 1:
            raise ShapeError(f"needs a vector but gets {input_shape}")
        return (input_shape[0] + self.variables,)
