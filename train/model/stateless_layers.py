"""Layers without weights: what shapes they turn into what."""

import math
from dataclasses import dataclass
from typing import ClassVar

from train.model.layers import Shape, ShapeError, Weight, check_image


class Weightless:
    """A layer without weights."""

    def weights(self, shape: Shape) -> dict[str, Weight]:
        """Return nothing."""
        return {}


@dataclass(frozen=True, kw_only=True)
class MaxPool(Weightless):
    """Largest value of every `size` x `size` patch; a remainder at the far edges is dropped."""

    size: int = 2
    kind: ClassVar[str] = "maxpool"

    def output_shape(self, shape: Shape) -> Shape:
        """Return (ieta // size, iphi // size, channel)."""
        ieta, iphi, channels = check_image(shape, self.size, self.size)
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
        check_image(shape, self.rows, self.columns)
        if self.rows % 2 == 0 or self.columns % 2 == 0:
            raise ShapeError(f"needs odd numbers of rows and columns, not {self.rows} x {self.columns}")
        return (self.rows, self.columns, shape[-1])


@dataclass(frozen=True, kw_only=True)
class ShowerFeatures(Weightless):
    """What says something about a shower, at every cell, from energy E and time t as they are in the file.

    Four channels: the share of the image's energy, E / sum E; its square root; log(1 + E / u) / log(1 + 1 / u), which
    lifts cells near the threshold u of the readout; and the image's energy sum E, everywhere the same. On request, a
    fifth: t E / v, the time in units of its resolution, which is v / E. Negative energies count as none. An empty image
    gives zeros.

    Attributes
    ----------
    time
        Whether there is a fifth.
    energy_unit
        u, in units of the file (50 GeV): 0.002 is 100 MeV.
    time_unit
        v, in units of the file (50 GeV x 50 ns).
    """

    time: bool = False
    energy_unit: float = 0.002
    time_unit: float = 6e-4
    kind: ClassVar[str] = "features"

    def output_shape(self, shape: Shape) -> Shape:
        """Return (ieta, iphi, 4), or 5 channels with the time."""
        if len(shape) != 3 or shape[2] != 2:
            raise ShapeError(f"needs images of energy and time, (ieta, iphi, 2), but gets {shape}")
        return (*shape[:2], 4 + self.time)


@dataclass(frozen=True, kw_only=True)
class Join(Weightless):
    """The standardised variables of a sample behind a row of values; see `train.variables.Variables`.

    Attributes
    ----------
    variables
        How many.
    """

    variables: int
    kind: ClassVar[str] = "join"

    def output_shape(self, shape: Shape) -> Shape:
        """Return (width + variables,)."""
        if len(shape) != 1:
            raise ShapeError(f"needs one row of values but gets {shape}")
        return (shape[0] + self.variables,)
