"""Opening a store: as a labelled dataset for people, as a handle for the stream."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import xarray as xr
import zarr

from store.datasets import FORMAT, FORMAT_VERSION, DatasetSpec, find_dataset
from store.errors import PlanError, StoreError


@dataclass(frozen=True, kw_only=True)
class Store:
    """An opened store; arrays are read when they are asked for.

    Attributes
    ----------
    path
        The store's folder.
    group
        Its Zarr root group, read-only.
    """

    path: Path
    group: zarr.Group

    @cached_property
    def attributes(self) -> dict[str, Any]:
        """Root attributes."""
        return dict(self.group.attrs)

    @property
    def image(self) -> zarr.Array[Any]:
        """The images, float32 (sample, ieta, iphi, channel)."""
        array = self.group["image"]
        assert isinstance(array, zarr.Array)
        return array

    @property
    def spec(self) -> DatasetSpec:
        """The data set that the store holds."""
        return find_dataset(self.attributes["dataset"])

    @property
    def digest(self) -> str:
        """Sha256 that stands for the whole content."""
        return str(self.attributes["content_digest"])

    def split_range(self, split: str) -> tuple[int, int]:
        """Return the first and one past the last sample of a split.

        Raises
        ------
        PlanError
            If there is no such split.
        """
        ranges = self.attributes["split_ranges"]
        if split not in ranges:
            raise PlanError(f"{self.path}: unknown split {split!r}; known: {', '.join(ranges)}")
        start, stop = ranges[split]
        return int(start), int(stop)


def open_store(path: str | Path) -> Store:
    """Open a store.

    Raises
    ------
    StoreError
        If the path holds no store, or one of a format version that this code does not know.
    """
    path = Path(path)
    try:
        group = zarr.open_group(path, mode="r", zarr_format=3, use_consolidated=False)
    except (FileNotFoundError, ValueError, KeyError):
        raise StoreError(f"{path}: no store here; `ingest --output {path}` makes one") from None
    found = group.attrs.get("format"), group.attrs.get("format_version")
    if found != (FORMAT, FORMAT_VERSION):
        raise StoreError(f"{path}: format {found} is not ({FORMAT!r}, {FORMAT_VERSION})")
    return Store(path=path, group=group)


def open_dataset(path: str | Path, split: str | None = None) -> xr.Dataset:
    """Open a store as a lazy, labelled dataset, one dask chunk a shard.

    Parameters
    ----------
    path
        The store.
    split
        ``train``, ``validation`` or ``test``; by default all samples.

    Returns
    -------
    xarray.Dataset
        ``image`` float32 (sample, ieta, iphi, channel), ``label`` uint8 (sample,), the data set's variables, float32
        (sample,), and their coordinates.

    Raises
    ------
    StoreError
        If the path holds no store that this version reads.
    PlanError
        If there is no such split.
    """
    store = open_store(path)
    shards = store.image.shards or store.image.chunks
    dataset: xr.Dataset = xr.open_zarr(store.path, consolidated=False, chunks=None).chunk({"sample": shards[0]})
    return dataset if split is None else dataset.isel(sample=slice(*store.split_range(split)))


def open_statistics(path: str | Path) -> xr.Dataset:
    """Open the statistics of a store's training split, loaded.

    Returns
    -------
    xarray.Dataset
        See `store.image_statistics.to_dataset` and `store.variable_statistics.describe_variables`.

    Raises
    ------
    StoreError
        If the path holds no store, or one without statistics.
    """
    store = open_store(path)
    if "statistics" not in store.group:
        raise StoreError(f"{store.path}: no statistics; `ingest statistics {store.path}` computes them")
    with xr.open_zarr(store.path, group="statistics", consolidated=False, chunks=None) as dataset:
        statistics: xr.Dataset = dataset.load()
    return statistics
