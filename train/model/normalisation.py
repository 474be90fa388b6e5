"""The first layer of every model: constants per channel, computed from the store's training split."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr

from store.errors import ConfigError

RECIPES = ("none", "max", "standard", "log", "cms-jets")
NOISE = 1e-3  # of the recipe cms-jets: smaller values become zero


@dataclass(frozen=True, kw_only=True)
class Normalisation:
    """Images become ``y = x * scale + offset``; ``log`` goes on to ``sign(y) * log1p(abs(y))``.

    Before that, ``cms-jets`` sets values below `NOISE` to zero.

    Attributes
    ----------
    recipe
        One of `RECIPES`; see `from_statistics`.
    scale, offset
        One value a channel, float64.
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
                    f"normalisation {self.recipe!r} needs one finite {name} a channel but gets {values}; "
                    "a channel that is constant in the training split allows only 'none'"
                )
            object.__setattr__(self, name, values)

    @classmethod
    def from_statistics(cls, recipe: str, statistics: xr.Dataset) -> "Normalisation":
        """Compute the constants of a recipe from the training split, all classes together.

        ``none``: images as they are in the file.
        ``max``: divided by the largest absolute value.
        ``standard``: the mean over all pixels subtracted, divided by their standard deviation.
        ``log``: in units of half the interquartile range of the non-zero values, which is the threshold of the readout
        for energies and the median absolute value for times; linear around zero, logarithmic above one unit.
        ``cms-jets``: values below 0.001 to zero, HCAL times 25, all divided by 100, as in the authors' training scripts
        for the jets of https://arxiv.org/abs/1902.08276; for any images with a channel ``hcal``.

        Parameters
        ----------
        recipe
            One of `RECIPES`.
        statistics
            What `store.open_statistics` returns.

        Raises
        ------
        ConfigError
            If the recipe is unknown, a channel is constant and cannot be scaled, or there is no channel ``hcal``.
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
            unit = half_interquartile_range(statistics)
        elif recipe == "cms-jets":
            unit = jet_unit(statistics["channel"].values.tolist())
        with np.errstate(divide="ignore", invalid="ignore"):
            return cls(recipe=recipe, scale=tuple(1 / unit), offset=tuple(offset / unit))


def half_interquartile_range(statistics: xr.Dataset) -> npt.NDArray[np.float64]:
    """Return, for each channel, half the interquartile range of the non-zero values, averaged over the classes."""
    lower, upper = (statistics["quantile"].sel(probability=p).mean("class") for p in (0.25, 0.75))
    return ((upper - lower) / 2).values


def jet_unit(channels: list[str]) -> npt.NDArray[np.float64]:
    """Return 4 for the channel ``hcal`` and 100 for the others; raise ConfigError if there is none."""
    if "hcal" not in channels:
        raise ConfigError(f"normalisation 'cms-jets' needs a channel hcal, the images have {', '.join(channels)}")
    return np.where(np.equal(channels, "hcal"), 100 / 25, 100.0)
