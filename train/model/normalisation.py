"""The first layer of every model: one scale and one offset per channel, computed from the store's training split."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from store.arrays import Float64Array
from store.errors import ConfigError

if TYPE_CHECKING:
    import xarray as xr

RECIPES = ("none", "max", "standard", "log", "cms-jets")
CMS_JETS_THRESHOLD = 1e-3
"""The recipe ``cms-jets`` sets values below this threshold to zero."""


@dataclass(frozen=True, kw_only=True)
class Normalisation:
    """The layer ``y = x * scale + offset``, with one scale and one offset per channel.

    The recipe ``log`` then returns ``sign(y) * log1p(abs(y))``. The recipe ``cms-jets`` first sets every x below
    `CMS_JETS_THRESHOLD` to zero.

    Attributes
    ----------
    recipe
        One of `RECIPES`; see `from_statistics`.
    scale, offset
        One float64 value per channel.

    Raises
    ------
    ConfigError
        If the recipe is unknown, scale and offset differ in length, or a value is not finite.
    """

    recipe: str
    scale: tuple[float, ...]
    offset: tuple[float, ...]

    def __post_init__(self) -> None:
        if self.recipe not in RECIPES:
            raise ConfigError(f"unknown normalisation {self.recipe!r}; known: {', '.join(RECIPES)}")
        for name in ("scale", "offset"):
            values = tuple(float(value) for value in getattr(self, name))
            if len(values) != len(self.scale) or not np.all(np.isfinite(values)):
                raise ConfigError(
                    f"normalisation {self.recipe!r} needs one finite {name} per channel but gets {values}; "
                    "if a channel is constant in the training split, use 'none'"
                )
            object.__setattr__(self, name, values)

    @classmethod
    def from_statistics(cls, recipe: str, statistics: "xr.Dataset") -> "Normalisation":
        """Compute scale and offset from the statistics of the training split, with all classes pooled.

        ==============  ==============================================================================================
        ``none``        Images are used as they are in the file.
        ``max``         Divides by the largest absolute value of the channel.
        ``standard``    Subtracts the mean over all pixels, and divides by their standard deviation.
        ``log``         Divides by half the interquartile range of the non-zero values, then takes the symmetric
                        logarithm, which is linear around zero and logarithmic above one unit. The unit is close to the
                        readout threshold for energies, and to the median absolute value for times. A channel whose
                        non-zero values have no such range is divided by its largest absolute value; an empty one is
                        not scaled.
        ``cms-jets``    Sets values below 0.001 to zero, multiplies the channel ``hcal`` by 25, and divides all channels
                        by 100, as the authors' training scripts do for the jets of https://arxiv.org/abs/1902.08276.
        ==============  ==============================================================================================

        Parameters
        ----------
        recipe
            One of `RECIPES`.
        statistics
            What `store.open_statistics` returns.

        Raises
        ------
        ConfigError
            If the recipe is unknown, a channel is constant and cannot be scaled, or ``cms-jets`` finds no channel
            ``hcal``.
        """
        mean, deviation, minimum, maximum = (
            statistics[f"pooled_{name}"].values for name in ("mean", "std", "minimum", "maximum")
        )
        unit, offset = np.ones_like(mean), np.zeros_like(mean)
        if recipe == "max":
            unit = np.maximum(np.abs(minimum), np.abs(maximum))
        elif recipe == "standard":
            unit, offset = deviation, -mean
        elif recipe == "log":
            spread, largest = half_interquartile_range(statistics), np.maximum(np.abs(minimum), np.abs(maximum))
            unit = np.where(spread > 0, spread, np.where(largest > 0, largest, 1))
        elif recipe == "cms-jets":
            unit = cms_jets_unit(statistics["channel"].values.tolist())
        with np.errstate(divide="ignore", invalid="ignore"):
            return cls(recipe=recipe, scale=tuple(1 / unit), offset=tuple(offset / unit))


def half_interquartile_range(statistics: "xr.Dataset") -> Float64Array:
    """Return half the interquartile range of the non-zero values of each channel, averaged over the classes."""
    lower, upper = (statistics["quantile"].sel(probability=p).mean("class") for p in (0.25, 0.75))
    return ((upper - lower) / 2).values


def cms_jets_unit(channels: list[str]) -> Float64Array:
    """Return 4 for the channel ``hcal`` and 100 for the others; raise ConfigError if there is no such channel."""
    if "hcal" not in channels:
        raise ConfigError(f"normalisation 'cms-jets' needs a channel hcal, the images have {', '.join(channels)}")
    return np.where(np.equal(channels, "hcal"), 100 / 25, 100.0)
