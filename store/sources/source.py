"""What a source file must give, whatever its form."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from store.datasets import DatasetSpec
from store.errors import ConfigError, SourceError
from store.sources.hdf5 import Hdf5Source

PARQUET = b"PAR1"  # how a Parquet file begins


class Source(Protocol):
    """A file of labelled images; picklable, and safe to read from several threads."""

    @property
    def spec(self) -> DatasetSpec:
        """What the file holds."""

    @property
    def path(self) -> Path:
        """The file."""

    @property
    def rows(self) -> int:
        """Number of images."""

    @property
    def block(self) -> int:
        """Rows that are stored together: reads from multiples of it decompress nothing twice."""

    @property
    def stored_bytes(self) -> int:
        """Size of the images as they are stored."""

    @property
    def simulated(self) -> str:
        """What simulated the images, or an empty string."""

    @property
    def note(self) -> str:
        """What people should know about how the file is read, or an empty string."""

    def labels(self) -> npt.NDArray[np.uint8]:
        """Return the class of every row, uint8 (rows,).

        Raises
        ------
        SourceError
            If a label is no class.
        """

    def variables(self) -> dict[str, npt.NDArray[np.float32]]:
        """Return the description's variables by name, float32 (rows,), rounded from wider types.

        Raises
        ------
        SourceError
            If a value is not finite.
        """

    def read(self, start: int, stop: int) -> npt.NDArray[np.float32]:
        """Return the images of some rows, float32 (stop - start, ieta, iphi, channel), all finite.

        Raises
        ------
        SourceError
            If an image is not finite, or not exact in float32.
        OSError
            If the file cannot be read.
        """


def open_sources(paths: Sequence[Path], spec: DatasetSpec) -> list[Source]:
    """Open source files, each by its kind.

    Raises
    ------
    SourceError
        If there are none or too many, one breaks a rule, or two have the same name.
    ConfigError
        If pyarrow is needed and not installed.
    """
    if not paths:
        raise SourceError("no source files given")
    if len(paths) > 255:
        raise SourceError(f"{len(paths)} source files are more than the 255 that a store can tell apart")
    names = [path.name for path in paths]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise SourceError(f"two source files are called {twice}")
    return [open_source(path.absolute(), spec) for path in paths]  # a cluster's workers may run elsewhere


def open_source(path: Path, spec: DatasetSpec) -> Source:
    """Open a source file by its content: Parquet if it begins like that, else HDF5.

    Raises
    ------
    SourceError
        If it breaks a rule.
    ConfigError
        If pyarrow is needed and not installed.
    """
    if not path.is_file():
        raise SourceError(f"{path}: no such file")
    with path.open("rb") as file:
        if file.read(len(PARQUET)) != PARQUET:
            return Hdf5Source(path, spec)
    if importlib.util.find_spec("pyarrow") is None:
        raise ConfigError(f"{path}: Parquet files need pyarrow; install calostream[parquet]")
    from store.sources.parquet import ParquetSource

    return ParquetSource(path, spec)
