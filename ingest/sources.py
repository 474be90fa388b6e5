"""Source files: what a source must give, and HDF5 as the data sets' authors wrote it."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import h5py
import numpy as np
import numpy.typing as npt

from store.errors import SourceError
from store.schema import Description

SIMULATIONS = {"geant4": "Geant4 simulation", "pythia": "Pythia simulation"}


class Source(Protocol):
    """A file of labelled images; picklable, and safe to read from several threads."""

    @property
    def path(self) -> Path:
        """The file."""

    @property
    def rows(self) -> int:
        """Number of images."""

    @property
    def block(self) -> int:
        """Rows that are cheap to read together: reads from multiples of it decompress nothing twice."""

    @property
    def simulated(self) -> str:
        """What simulated the images, or an empty string."""

    def labels(self) -> npt.NDArray[np.uint8]:
        """Return the class of every row, uint8 (rows,)."""

    def read(self, start: int, stop: int) -> npt.NDArray[np.float32]:
        """Return the images of some rows, float32 (stop - start, ieta, iphi, channel), all finite."""


@dataclass(frozen=True)
class Hdf5Source:
    """An HDF5 file with one data set of images and one of labels.

    Parameters
    ----------
    path
        The file.
    description
        Which data sets and shapes to expect.

    Raises
    ------
    SourceError
        If the file is missing, is not HDF5, or its data sets are missing, of another shape or type, or of unequal
        lengths. Later, if a label is not a class, an image is not finite, or a value does not fit float32.
    """

    path: Path
    description: Description

    def __post_init__(self) -> None:
        if not self.path.is_file():
            raise SourceError(f"{self.path}: no such file")
        expected = self.description.image_shape
        with self._open() as file:
            label_key = self.description.label_key
            images, labels = self._member(file, self.image_key), self._member(file, label_key)
            if images.ndim != 4 or images.shape[1:] != expected:
                raise SourceError(
                    f"{self.path}: {self.image_key} has shape {images.shape}, expected rows of {expected}"
                )
            if images.dtype.kind != "f":
                raise SourceError(f"{self.path}: {self.image_key} has dtype {images.dtype}, expected a float type")
            if labels.shape not in ((len(images),), (len(images), 1)):
                raise SourceError(
                    f"{self.path}: {self.image_key} has {len(images)} rows but {label_key} has shape {labels.shape}"
                )
            if labels.dtype.kind not in "fiub":
                raise SourceError(f"{self.path}: {label_key} has dtype {labels.dtype}, expected numbers")
            if not len(images):
                raise SourceError(f"{self.path}: {self.image_key} has no rows")

    def _open(self) -> h5py.File:
        try:
            return h5py.File(self.path, "r")
        except OSError as error:
            raise SourceError(f"{self.path}: not a readable HDF5 file ({error})") from None

    def _member(self, file: h5py.File, key: str) -> h5py.Dataset:
        found = file.get(key)
        if not isinstance(found, h5py.Dataset):
            names = ", ".join(map(repr, file)) or "nothing"
            raise SourceError(f"{self.path}: no data set {key!r}; the file has {names}")
        return found

    @cached_property
    def image_key(self) -> str:
        """Name of the images in this file."""
        with self._open() as file:
            return next((key for key in self.description.image_keys if key in file), self.description.image_keys[0])

    @cached_property
    def rows(self) -> int:
        """Number of images."""
        with self._open() as file:
            return len(file[self.image_key])

    @cached_property
    def block(self) -> int:
        """Rows of an HDF5 chunk; for files without chunks, as many as make about 8 MiB."""
        with self._open() as file:
            chunks = file[self.image_key].chunks
        return int(chunks[0]) if chunks else max(1, (8 << 20) // self.description.sample_bytes)

    @property
    def simulated(self) -> str:
        """What simulated the images: the file's attribute ``simulation``, else what its name says, else empty."""
        with self._open() as file:
            declared = file.attrs.get("simulation", "")
        named = re.search("|".join(SIMULATIONS), self.path.name.lower())
        return str(declared) or (SIMULATIONS[named.group()] if named else "")

    def labels(self) -> npt.NDArray[np.uint8]:
        """See `Source.labels`."""
        with self._open() as file:
            values = np.asarray(file[self.description.label_key]).reshape(-1)
        known = np.isin(values, np.arange(len(self.description.classes)))
        if not known.all():
            row = int(np.argmin(known))
            meanings = ", ".join(f"{code} ({name})" for code, name in enumerate(self.description.classes))
            raise SourceError(
                f"{self.path}: row {row} of {self.description.label_key} is {values[row]}; labels must be {meanings}"
            )
        return values.astype(np.uint8)

    def read(self, start: int, stop: int) -> npt.NDArray[np.float32]:
        """See `Source.read`."""
        with self._open() as file:
            try:
                stored = file[self.image_key][start:stop]
            except OSError as error:
                raise OSError(f"{self.path}: rows {start} to {stop - 1} cannot be read ({error})") from error
        with np.errstate(over="ignore"):
            images = np.ascontiguousarray(stored, dtype=np.float32)
        self._check(np.isfinite(images), stored, start, "is not finite")
        if stored.dtype.itemsize > 4:
            self._check(images == stored, stored, start, "is not exact in float32")
        return images

    def _check(self, good: npt.NDArray[np.bool_], stored: npt.NDArray[Any], start: int, rule: str) -> None:
        if not good.all():
            at = tuple(int(i) for i in np.unravel_index(np.argmin(good), good.shape))
            raise SourceError(
                f"{self.path}: {self.image_key}[{start + at[0]}, {', '.join(map(str, at[1:]))}] = {stored[at]} {rule}"
            )


def open_sources(paths: Sequence[Path], description: Description) -> list[Source]:
    """Open source files, each by its kind.

    Raises
    ------
    SourceError
        If there are none or too many, one breaks a rule, or two have the same name.
    """
    if not paths:
        raise SourceError("no source files given")
    if len(paths) > 255:
        raise SourceError(f"{len(paths)} source files are more than the 255 that a store can tell apart")
    names = [path.name for path in paths]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise SourceError(f"two source files are called {twice}")
    return [Hdf5Source(path, description) for path in paths]


def sha256(path: Path) -> str:
    """Return the sha256 of a file's bytes, as hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
