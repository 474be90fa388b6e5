"""What an opened store is: where it is, its attributes, its arrays and the files of its shards."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr

from store.attributes import restore
from store.column_files import map_column
from store.datasets import DatasetSpec, stored_dataset
from store.errors import CorruptStoreError, PlanError
from store.files import folder_bytes
from store.locations import Location
from store.readers.shard_files import LocalShards, ShardFiles
from store.remote.mirror import Mirror
from store.remote.shards import RemoteShards


@dataclass(frozen=True, kw_only=True)
class Store:
    """An opened store. No array is read yet.

    Attributes
    ----------
    path
        Where the store is, as it was given: for messages, and to open it again.
    group
        Root group of the store, read-only.
    folder
        Folder of this machine with the metadata, columns and digests of the store, and its shards or some of them.
    mirror
        The copy of a store at a URL, which `folder` is then.
    """

    path: Location
    group: zarr.Group
    folder: Path
    mirror: Mirror | None = None

    @cached_property
    def attributes(self) -> dict[str, Any]:
        """Attributes of the root group."""
        return restore(dict(self.group.attrs))

    @cached_property
    def _arrays(self) -> dict[str, zarr.Array[Any]]:
        return {}

    @cached_property
    def _columns(self) -> dict[str, npt.NDArray[Any] | None]:
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
        """Return the values of an array with one value per sample, for the samples [start, stop).

        They are mapped into memory, read-only, and read when they are used; see `store.column_files`. Columns that are
        stored otherwise, as in stores of version 1, are read.
        """
        if name not in self._columns:
            self._columns[name] = map_column(self.array(name), self.folder)
        mapped = self._columns[name]
        return np.asarray(self.array(name)[start:stop]) if mapped is None else mapped[start:stop]

    @property
    def image(self) -> zarr.Array[Any]:
        """The images, float32 (sample, ieta, iphi, channel)."""
        return self.array("image")

    @cached_property
    def shards(self) -> ShardFiles:
        """The shards of the images, on this machine or fetched when they are needed."""
        return LocalShards(self.image, self.folder) if self.mirror is None else RemoteShards(self.image, self.mirror)

    @property
    def image_bytes(self) -> int:
        """Size of all images as they are stored; an estimate if the server of a store lists no files."""
        return folder_bytes(self.folder / "image") if self.mirror is None else self.mirror.stored_bytes

    @property
    def stored_bytes(self) -> int:
        """Size of all files of the store; an estimate if the server of a store lists no files."""
        return folder_bytes(self.folder) if self.mirror is None else self.mirror.other_bytes + self.image_bytes

    @cached_property
    def spec(self) -> DatasetSpec:
        """Specification of the data set in the store."""
        return stored_dataset(self.attributes)

    @property
    def digest(self) -> str:
        """Sha256 that identifies the content of the store."""
        return str(self.attributes["content_digest"])

    def _repr_html_(self) -> str:
        """Return what notebooks show of the store."""
        from store.summary_html import describe_store

        return describe_store(self)

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
