"""Opening a store: as a labelled xarray dataset, or as a `Store` for programs."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
import zarr

from store.datasets import FORMAT, FORMAT_VERSION, DatasetSpec, find_dataset
from store.errors import CorruptStoreError, PlanError, StoreError
from store.integrity import check_store, naming


@dataclass(frozen=True, kw_only=True)
class Store:
    """An opened store. No array is read yet.

    Attributes
    ----------
    path
        The store's folder.
    group
        Root group of the store, read-only.
    """

    path: Path
    group: zarr.Group

    @cached_property
    def attributes(self) -> dict[str, Any]:
        """Attributes of the root group."""
        return dict(self.group.attrs)

    @cached_property
    def _arrays(self) -> dict[str, zarr.Array[Any]]:
        return {}

    def array(self, name: str) -> zarr.Array[Any]:
        """Return an array of the root group; nothing of it is read but its metadata.

        Raises
        ------
        CorruptStoreError
            If there is no such array.
        """
        if name not in self._arrays:
            try:
                array = self.group[name]
            except KeyError:
                array = None
            if not isinstance(array, zarr.Array):
                raise CorruptStoreError(f"{self.path}: no array {name}")
            self._arrays[name] = array
        return self._arrays[name]

    def column(self, name: str, start: int = 0, stop: int | None = None) -> npt.NDArray[Any]:
        """Read the values of an array with one value per sample, for the samples [start, stop)."""
        return np.asarray(self.array(name)[start:stop])

    @property
    def image(self) -> zarr.Array[Any]:
        """The images, float32 (sample, ieta, iphi, channel)."""
        return self.array("image")

    @property
    def spec(self) -> DatasetSpec:
        """Specification of the data set in the store."""
        return find_dataset(self.attributes["dataset"])

    @property
    def digest(self) -> str:
        """Sha256 that identifies the content of the store."""
        return str(self.attributes["content_digest"])

    def split_range(self, split: str) -> tuple[int, int]:
        """Return the range of a split: position of the first sample, and one more than the position of the last.

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
    """Open a store, after checking within milliseconds that it is complete and unchanged since it was made.

    Parameters
    ----------
    path
        Folder of the store.

    Raises
    ------
    StoreError
        If the path contains no store, or one with another format version.
    CorruptStoreError
        If the store is incomplete, or was changed since it was made; see `store.integrity.check_store`.
    """
    store = open_unchecked(path)
    check_store(store)
    return store


def open_unchecked(path: str | Path) -> Store:
    """Open a store without the checks of `open_store`, because it is still being made or is about to be verified.

    Raises
    ------
    StoreError
        If the path contains no store, or one with another format version.
    """
    path = Path(path)
    try:
        group = zarr.open_group(path, mode="r", zarr_format=3, use_consolidated=False)
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError):
        raise StoreError(f"{path}: no store here; `ingest --output {path}` makes one") from None
    except Exception as error:
        raise CorruptStoreError(f"{path / 'zarr.json'}: cannot be read ({type(error).__name__}: {error})") from error
    if group.attrs.get("format") != FORMAT:
        raise StoreError(f"{path}: is a Zarr group, but not a {FORMAT} store")
    version = group.attrs.get("format_version")
    if version != FORMAT_VERSION or isinstance(version, bool):
        raise StoreError(f"{path}: has format version {version!r:.60}, this program reads version {FORMAT_VERSION}")
    return Store(path=path, group=group)


def open_dataset(path: str | Path, split: str | None = None) -> xr.Dataset:
    """Open a store as a labelled dataset whose arrays are read when they are used, with one dask chunk per shard.

    Parameters
    ----------
    path
        Folder of the store.
    split
        ``train``, ``validation`` or ``test``. By default the dataset has all samples.

    Returns
    -------
    xarray.Dataset
        ``image`` float32 (sample, ieta, iphi, channel), ``label`` uint8 (sample,), the variables of the data set,
        float32 (sample,), and coordinates.

    Raises
    ------
    StoreError
        If the path contains no store that this version reads.
    PlanError
        If there is no such split.
    """
    store = open_store(path)
    shards = store.image.shards or store.image.chunks
    with naming(store.path):
        dataset: xr.Dataset = xr.open_zarr(store.path, consolidated=False, chunks=None).chunk({"sample": shards[0]})
    return dataset if split is None else dataset.isel(sample=slice(*store.split_range(split)))


def open_statistics(path: str | Path) -> xr.Dataset:
    """Read the statistics of the training split of a store.

    Parameters
    ----------
    path
        Folder of the store.

    Returns
    -------
    xarray.Dataset
        All values, loaded; see `store.image_statistics.to_dataset` and `store.variable_statistics.describe_variables`.

    Raises
    ------
    StoreError
        If the path contains no store that this version reads, or the store has no statistics.
    """
    store = open_store(path)
    if "statistics" not in store.group:
        raise StoreError(f"{store.path}: no statistics; `ingest statistics {store.path}` computes them")
    with (
        naming(store.path / "statistics"),
        xr.open_zarr(store.path, group="statistics", consolidated=False, chunks=None) as dataset,
    ):
        statistics: xr.Dataset = dataset.load()
    return statistics
