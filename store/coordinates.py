"""Coordinates that say what the numbers of a dataset mean: names of classes, scales and units of channels."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

from store.arrays import UInt8Array
from store.attributes import restore
from store.datasets import Channel, DatasetSpec, stored_dataset
from store.errors import ConfigError, StoreError
from store.integrity import MANY

ADDED = ("class_name", "scale", "unit")
ENERGY_UNITS = {"eV", "keV", "MeV", "GeV", "TeV"}


def add_coordinates(dataset: xr.Dataset, spec: DatasetSpec) -> xr.Dataset:
    """Return a dataset with ``label`` as a coordinate, and with those of `ADDED`.

    Parameters
    ----------
    dataset
        Has ``label`` (sample,) and ``channel``.
    spec
        The data set.

    Returns
    -------
    xarray.Dataset
        With the coordinates ``class_name`` str (sample,), ``scale`` float64 (channel,) and ``unit`` str (channel,):
        a stored value times ``scale`` is in units of ``unit``. All strings are of numpy's type object, which xarray
        writes to Zarr and netCDF alike.

    Raises
    ------
    StoreError
        If a label is not a class.
    """
    dataset = dataset.set_coords("label")
    label, channel = dataset["label"].load(), dataset["channel"]
    if label.dtype == np.uint8 and label.size > MANY:
        class_name = indexing.LazilyIndexedArray(ClassNames(label.values, spec.classes))
    else:
        codes = label if label.dtype.kind in "iu" else label.fillna(-1).astype(np.int64)
        if ((codes != label) | (codes < 0) | (codes >= len(spec.classes))).any():
            raise StoreError(
                f"labels must be below {len(spec.classes)}; after `where`, drop the samples that it masks: drop=True"
            )
        class_name = np.array(spec.classes, object)[codes.values]
    known = {described.name: described for described in spec.channels}
    names = [str(name) for name in np.ravel(channel.values)]
    channels = [known.get(name, Channel(name=name, long_name=name, comment="")) for name in names]

    def by_channel(values: list[float] | list[str], dtype: type) -> np.ndarray:
        return np.array(values, dtype).reshape(channel.shape)

    return dataset.assign_coords(
        # By the fast path, samples of a class share one str; otherwise pandas would make a str for each.
        class_name=xr.Variable(label.dims, class_name, {"long_name": "name of the class"}, fastpath=True),
        channel=(channel.dims, by_channel(names, object), channel.attrs),
        scale=(channel.dims, by_channel([c.scale for c in channels], float), {"long_name": "unit per stored value"}),
        unit=(channel.dims, by_channel([c.unit for c in channels], object), {"long_name": "unit of value times scale"}),
    )


class ClassNames(BackendArray):
    """The names of the classes of many samples, which are looked up when they are used.

    Parameters
    ----------
    label
        uint8 (sample,), classes.
    names
        Name of each class.
    """

    dtype = np.dtype(object)

    def __init__(self, label: UInt8Array, names: Sequence[str]) -> None:
        self.shape = label.shape
        self._label, self._names = label, np.array(names, object)

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self._look_up)

    def _look_up(self, key: tuple[Any, ...]) -> Any:
        label = self._label[key]
        if np.any(label >= self._names.size):
            raise StoreError(f"labels must be below {self._names.size}, got {np.max(label)}")
        return self._names[label]


def with_coordinates(dataset: xr.Dataset) -> xr.Dataset:
    """Return a dataset with the coordinates of `add_coordinates`, also if plain xarray opened it from a store.

    Raises
    ------
    StoreError
        If it is not from a store, or a label is not a class.
    """
    if all(name in dataset.coords for name in ADDED):
        return dataset
    foreign = "this dataset is not from a calostream store: it needs label, channel and attributes of one"
    if not isinstance(dataset.attrs.get("dataset"), str) or not {"label", "channel"} <= set(dataset.variables):
        raise StoreError(foreign)
    try:
        spec = stored_dataset(restore(dataset.attrs))
    except ConfigError as error:
        raise StoreError(f"{foreign}; {error}") from None
    return add_coordinates(dataset, spec)


def select_channels(dataset: xr.Dataset, channel: str | Sequence[str] | None = None) -> xr.Dataset:
    """Return a dataset with those channels alone whose values are to be added up.

    Parameters
    ----------
    dataset
        From `with_coordinates`; ``channel`` may be a scalar.
    channel
        A name or several names; by default all channels with a unit of energy.

    Raises
    ------
    ConfigError
        If there is no such channel, no channel has a unit of energy, or the channels have different units.
    StoreError
        If the dataset has no images.
    """
    if not {"image", *ADDED, "channel"} <= set(dataset.variables):
        raise StoreError(f"no images in this dataset, only {', '.join(map(str, dataset.data_vars)) or 'coordinates'}")
    if not dataset["channel"].dims:
        scalars = {name: ("channel", [dataset[name].item()]) for name in ("channel", "scale", "unit")}
        image = dataset["image"].drop_vars(scalars).expand_dims("channel", axis=-1)
        dataset = dataset.drop_vars(scalars).assign(image=image).assign_coords(scalars)
    names, units = ([str(text) for text in dataset[name].values] for name in ("channel", "unit"))
    if channel is None:
        chosen = [name for name, unit in zip(names, units, strict=True) if unit in ENERGY_UNITS]
    else:
        chosen = [channel] if isinstance(channel, str) else list(channel)
    unknown = [name for name in chosen if name not in names]
    if unknown:
        raise ConfigError(f"unknown channel {unknown[0]!r}; known: {', '.join(names)}")
    if not chosen:
        raise ConfigError(
            f"none of the channels {', '.join(names)} has a known unit of energy; choose with channel={names[-1]!r}, "
            "or with a list of channels to add up, in the units of the source files"
        )
    dataset = dataset.sel(channel=chosen)
    if len({str(unit) for unit in dataset["unit"].values}) > 1:
        pairs = ", ".join(f"{name} in {unit}" for name, unit in zip(names, units, strict=True) if name in chosen)
        raise ConfigError(f"channels of different units cannot be added up: {pairs}; choose with channel=")
    return dataset


def quantity(dataset: xr.Dataset) -> dict[str, str]:
    """Return the attributes ``long_name`` and ``units`` of the sum of a dataset's channels, scaled."""
    return {
        "long_name": " + ".join(str(name) for name in np.ravel(dataset["channel"].values)),
        "units": str(np.ravel(dataset["unit"].values)[0]),
    }


def axis_label(attributes: dict[str, str]) -> str:
    """Return the label of an axis for the attributes that `quantity` returns."""
    name, unit = attributes["long_name"], attributes["units"]
    return f"{name}, as in the source files" if unit == "1" else f"{name}, {unit}"
