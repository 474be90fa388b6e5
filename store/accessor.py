"""The accessor ``dataset.calo``: energies in GeV, mean images, spectra and pictures of a dataset of a store."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import xarray as xr

from store.arrays import Float64Array, Int64Array
from store.coordinates import quantity, select_channels, with_coordinates
from store.errors import ConfigError, StoreError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CELLS = ("ieta", "iphi")
MOST_BINS = 1_000_000


@xr.register_dataset_accessor("calo")  # type: ignore[no-untyped-call]
class CaloAccessor:
    """What the images of a dataset show, in physical units.

    It works on datasets from `store.open_dataset`, on those that plain xarray opens from a store, and on any selection
    of samples, cells or channels of them. ``channel`` always names one channel, or several whose values are added up;
    by default, it is all channels with a unit of energy. Where a store knows no units, values are as in its source
    files, and ``units`` is 1.

    Parameters
    ----------
    dataset
        Has ``image`` (sample, ieta, iphi, channel) and ``label`` (sample,).

    Examples
    --------
    >>> ds = cs.open_dataset("data/electron-photon.zarr", split="train")
    >>> hard = ds.isel(sample=ds.calo.energy() > 45)
    >>> hard.calo.plot_showers(n=6).savefig("showers.png")
    """

    def __init__(self, dataset: xr.Dataset) -> None:
        self._dataset = dataset

    def _repr_html_(self) -> str:
        """Return what notebooks show: the samples and channels of the dataset."""
        from store.summary_html import describe_dataset, message

        try:
            return describe_dataset(with_coordinates(self._dataset))
        except StoreError as error:
            return message(str(error))

    def _select(self, channel: str | Sequence[str] | None) -> xr.Dataset:
        return select_channels(with_coordinates(self._dataset), channel)

    def cells(self, channel: str | Sequence[str] | None = None) -> xr.DataArray:
        """Return the energy of each cell; dask arrays stay lazy.

        Returns
        -------
        xarray.DataArray
            float32 (sample, ieta, iphi), with ``units`` such as GeV.

        Raises
        ------
        ConfigError
            If there is no such channel, no channel has a unit of energy, or the channels have different units.
        StoreError
            If the dataset is not from a store.
        """
        dataset = self._select(channel)
        cells = (dataset["image"] * dataset["scale"].astype(np.float32)).sum("channel", min_count=1)
        return _named(cells, "cells", dataset)

    def energy(self, channel: str | Sequence[str] | None = None) -> xr.DataArray:
        """Read all images and return the energy of each sample, summed over its cells in float64.

        Returns
        -------
        xarray.DataArray
            float64 (sample,), loaded, with ``units`` such as GeV.

        Raises
        ------
        ConfigError
            As for `cells`.
        StoreError
            If the dataset is not from a store.
        """
        dataset = self._select(channel)
        sums = dataset["image"].sum(CELLS, dtype=np.float64, min_count=1)
        energy = (sums * dataset["scale"]).sum("channel", min_count=1).load()
        return _named(energy, "energy", dataset)

    def mean_image(self, channel: str | Sequence[str] | None = None) -> xr.DataArray:
        """Read all images and return the mean of each class, accumulated in float64.

        Returns
        -------
        xarray.DataArray
            float64 (class_name, ieta, iphi), loaded, with ``units`` such as GeV; the classes of the dataset's samples
            in the order of their labels.

        Raises
        ------
        ConfigError
            As for `cells`.
        StoreError
            If the dataset is not from a store.
        """
        dataset = self._select(channel)
        names, of_class = _classes(dataset)
        means = [dataset["image"].isel(sample=rows).mean("sample", dtype=np.float64) for rows in of_class]
        mean = (xr.concat(means, "class_name") * dataset["scale"]).sum("channel", min_count=1).load()
        return _named(mean.assign_coords(class_name=names), "mean_image", dataset)

    def spectrum(
        self,
        value: str | xr.DataArray | npt.ArrayLike | None = None,
        bins: int | Sequence[float] | Float64Array = 50,
        weights: str | xr.DataArray | npt.ArrayLike | None = None,
    ) -> xr.Dataset:
        """Return a histogram of each class, summed in float64.

        Parameters
        ----------
        value
            Quantity to histogram: the name of a column, such as ``"pt"``, or an array (sample,); by default, what
            `energy` returns. Samples for which it is not finite are left out.
        bins
            Number of equal bins between the smallest and the largest value, or the edges of the bins; values outside
            them are left out.
        weights
            Weight of each sample: the name of a column, or an array (sample,). By default, each sample counts as 1.

        Returns
        -------
        xarray.Dataset
            ``content``, the sums of weights, and ``error``, the square roots of the sums of squared weights, both
            float64 (class_name, bin); coordinates ``bin`` (centres), ``bin_lower`` and ``bin_upper``.

        Raises
        ------
        ConfigError
            If there is no such column, or values, weights or bins are invalid.
        StoreError
            If the dataset is not from a store.
        """
        dataset = with_coordinates(self._dataset)
        values = self._column(dataset, value) if value is not None else self.energy()
        weight = np.ones(values.size) if weights is None else self._column(dataset, weights).values.astype(np.float64)
        if not np.isfinite(weight).all():
            raise ConfigError("weights must be finite numbers")
        numbers = values.values.astype(np.float64)
        finite = np.isfinite(numbers)
        if isinstance(bins, int) and not 1 <= bins <= MOST_BINS:
            raise ConfigError(f"bins={bins} is not between 1 and {MOST_BINS:,}")
        try:
            edges = np.histogram_bin_edges(numbers[finite], bins).astype(np.float64)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"bins={bins!r:.60}: {error}") from None
        names, of_class = _classes(dataset)
        parts = [rows[finite[rows]] for rows in of_class]
        sums = [[np.histogram(numbers[rows], edges, weights=weight[rows] ** k)[0] for rows in parts] for k in (1, 2)]
        by = ("class_name", "bin")
        name = str(values.name or "value")
        described = {key: values.attrs[key] for key in ("long_name", "units") if key in values.attrs}
        return xr.Dataset(
            {
                "content": (by, np.array(sums[0], np.float64), {"long_name": f"sum of weights by {name}"}),
                "error": (by, np.sqrt(np.array(sums[1], np.float64)), {"long_name": "root of sum of squared weights"}),
            },
            {
                "class_name": names,
                "bin": ("bin", (edges[:-1] + edges[1:]) / 2, {"long_name": name, **described}),
                "bin_lower": ("bin", edges[:-1]),
                "bin_upper": ("bin", edges[1:]),
            },
        )

    def plot_showers(self, n: int = 12, channel: str | None = None) -> "Figure":
        """Draw the first samples of the dataset in a grid; see `store.plotting.plot_showers`.

        Parameters
        ----------
        n
            Number of samples, at most 100.
        channel
            The channel to draw; by default the first one with a unit of energy, or else the first one.

        Returns
        -------
        matplotlib.figure.Figure
            Notebooks show it, ``savefig`` writes it.

        Raises
        ------
        ConfigError
            If there is no such channel, or `n` is not between 1 and 100.
        StoreError
            If the dataset is not from a store.
        """
        from store.plotting import plot_showers

        return plot_showers(self._dataset, n, channel)

    def _column(self, dataset: xr.Dataset, column: str | xr.DataArray | npt.ArrayLike) -> xr.DataArray:
        """Return a column by name, or the given one if it has a number for each sample of the dataset."""
        if isinstance(column, str):
            names = [str(name) for name, array in dataset.variables.items() if array.dims == ("sample",)]
            if column not in names:
                raise ConfigError(f"no column {column!r}; per-sample columns: {', '.join(names)}")
            column = dataset[column]
        values = column.values if isinstance(column, xr.DataArray) else np.asarray(column)
        if values.shape != (dataset.sizes["sample"],) or values.dtype.kind not in "biuf":
            raise ConfigError(
                f"expected one number for each of {dataset.sizes['sample']} samples, "
                f"got {values.dtype} of shape {values.shape}"
            )
        return column if isinstance(column, xr.DataArray) else xr.DataArray(values, dims="sample")


def _named(array: xr.DataArray, name: str, dataset: xr.Dataset) -> xr.DataArray:
    """Return an array with a name, and with the quantity and units of a dataset's channels as its only attributes."""
    array = array.rename(name)
    array.attrs = quantity(dataset)
    return array


def _classes(dataset: xr.Dataset) -> tuple[npt.NDArray[np.object_], list[Int64Array]]:
    """Return the names of the classes that a dataset has samples of, and the positions of their samples."""
    label = dataset["label"].values
    rows = [np.flatnonzero(label == code) for code in np.unique(label)]
    return dataset["class_name"].values[[of_class[0] for of_class in rows]], rows
