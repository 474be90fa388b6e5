from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import store
from store.errors import ConfigError
from train.model.normalisation import RECIPES, Normalisation


def made_up(*, quantile: list[list[list[float]]] | None = None, **changes: list[float]) -> xr.Dataset:
    pooled = {"mean": [0.5, -1.0], "std": [2.0, 4.0], "minimum": [0.0, -8.0], "maximum": [5.0, 6.0], **changes}
    quantile = quantile or [[[1.0, 2.0, 5.0], [-3.0, 0.0, 1.0]], [[1.0, 2.0, 9.0], [-5.0, 0.0, 3.0]]]
    return xr.Dataset(
        {
            **{f"pooled_{name}": ("channel", values) for name, values in pooled.items()},
            "quantile": (("class", "channel", "probability"), quantile),
        },
        {"probability": [0.25, 0.5, 0.75], "channel": ["hcal", "ecal"]},
    )


@pytest.mark.parametrize(
    ("recipe", "scale", "offset"),
    [
        ("none", (1.0, 1.0), (0.0, 0.0)),
        ("max", (1 / 5, 1 / 8), (0.0, 0.0)),
        ("standard", (1 / 2, 1 / 4), (-0.25, 0.25)),
        ("log", (1 / 3, 1 / 3), (0.0, 0.0)),
        ("cms-jets", (25 / 100, 1 / 100), (0.0, 0.0)),
    ],
)
def test_recipes(recipe: str, scale: tuple[float, ...], offset: tuple[float, ...]) -> None:
    normalisation = Normalisation.from_statistics(recipe, made_up())
    assert (normalisation.scale, normalisation.offset) == (scale, offset)


def test_the_recipe_for_jets_needs_their_channel(showers: Path) -> None:
    with pytest.raises(ConfigError, match="'cms-jets' needs a channel hcal, the images have energy, time"):
        Normalisation.from_statistics("cms-jets", store.open_statistics(showers))


def test_every_recipe_is_tested_and_the_rest_refused() -> None:
    with pytest.raises(ConfigError, match=f"unknown normalisation 'median'; known: {', '.join(RECIPES)}"):
        Normalisation.from_statistics("median", made_up())


@pytest.mark.parametrize(("recipe", "changes"), [("standard", {"std": [1.0, 0.0]}), ("max", {"maximum": [0.0, 1.0]})])
def test_refuses_a_constant_channel(recipe: str, changes: dict[str, list[float]]) -> None:
    with pytest.raises(ConfigError, match="is constant in the training split, use 'none'"):
        Normalisation.from_statistics(recipe, made_up(**changes))


def test_hit_maps_and_empty_channels_have_a_unit() -> None:
    ones, nothing = [1.0, 1.0, 1.0], [np.nan, np.nan, np.nan]
    statistics = made_up(minimum=[0.0, 0.0], maximum=[4.0, 0.0], quantile=[[ones, nothing], [ones, nothing]])
    assert Normalisation.from_statistics("log", statistics).scale == (1 / 4, 1.0)
    of_one_class = made_up(quantile=[[[1.0, 2.0, 5.0], nothing], [nothing, [-5.0, 0.0, 3.0]]])
    assert Normalisation.from_statistics("log", of_one_class).scale == (1 / 2, 1 / 4)


def test_uses_the_training_split_alone(showers: Path) -> None:
    normalisation = Normalisation.from_statistics("standard", store.open_statistics(showers))
    images = store.open_dataset(showers, split="train").image.values.astype(np.float64)
    mean, deviation = images.mean(axis=(0, 1, 2)), images.std(axis=(0, 1, 2))
    np.testing.assert_allclose(normalisation.scale, 1 / deviation, rtol=1e-9)
    np.testing.assert_allclose(normalisation.offset, -mean / deviation, rtol=1e-9)
