"""The statistics and the classes of a store as rows of numbers, for the tables of `ingest info` and for its JSON."""

from typing import Any

import numpy as np
import xarray as xr

from store.opening import Store
from store.sample_columns import WEIGHT

IMAGE_KEYS = ("mean", "std", "minimum", "maximum", "nonzero_share")
VARIABLE_KEYS = ("mean", "std", "minimum", "maximum")


def image_rows(statistics: xr.Dataset) -> list[dict[str, Any]]:
    """Return class, channel and statistics of the images, for each class and channel."""
    names, channels = (statistics[name].values for name in ("class", "channel"))
    values = {key: statistics[key].transpose("class", "channel").values for key in IMAGE_KEYS}
    counts = {key: statistics[key].values for key in ("images", "empty_images")}
    return [
        {
            "class": str(name),
            "channel": str(channel),
            **{key: float(array[c, k]) for key, array in values.items()},
            **{key: int(array[c]) for key, array in counts.items()},
        }
        for c, name in enumerate(names)
        for k, channel in enumerate(channels)
    ]


def variable_rows(statistics: xr.Dataset) -> list[dict[str, Any]]:
    """Return class, variable, units and statistics of the variables, for each class and variable."""
    if "variable" not in statistics.dims:
        return []
    names, variables, units = (statistics[name].values for name in ("class", "variable", "variable_units"))
    arrays = {key: statistics[f"variable_{key}"] for key in VARIABLE_KEYS}
    arrays["median"] = statistics["variable_quantile"].sel(probability=0.5)
    values = {key: array.transpose("class", "variable").values for key, array in arrays.items()}
    return [
        {
            "class": str(name),
            "variable": str(variable),
            "units": str(units[k]),
            **{key: float(array[c, k]) for key, array in values.items()},
        }
        for c, name in enumerate(names)
        for k, variable in enumerate(variables)
    ]


def samples_by_class(store: Store, start: int, stop: int) -> dict[str, int]:
    """Return the number of samples of each class among those of [start, stop)."""
    classes = store.spec.classes
    counts = np.bincount(store.column("label", start, stop), minlength=len(classes))
    return dict(zip(classes, counts.tolist(), strict=True))


def weight_by_class(store: Store, start: int, stop: int) -> dict[str, float] | None:
    """Return the sum of the weights of each class over the samples of [start, stop), or None without weights."""
    if store.spec.weight_key is None:
        return None
    classes = store.spec.classes
    label, weight = (store.column(name, start, stop) for name in ("label", WEIGHT))
    return dict(zip(classes, np.bincount(label, weight, minlength=len(classes)).tolist(), strict=True))
