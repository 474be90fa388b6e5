"""What every source file provides, whatever its format, and how one is opened."""

import importlib.util
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from store.arrays import Float32Array, Float64Array, UInt8Array
from store.datasets import DATASETS, DatasetSpec
from store.errors import ConfigError, SourceError
from store.sources.probe import probe

PARQUET = b"PAR1"  # first bytes of every Parquet file


class Source(Protocol):
    """A file of images; picklable, and safe to read from several threads."""

    @property
    def spec(self) -> DatasetSpec:
        """What the file must hold: names, shape, classes, and the variables that are read."""

    @property
    def path(self) -> Path:
        """The file."""

    @property
    def rows(self) -> int:
        """Number of images."""

    @property
    def block(self) -> int:
        """Rows of the largest part that is decompressed as a whole: see `pieces`."""

    @property
    def other_files(self) -> tuple[Path, ...]:
        """Files, besides `path`, that hold a part of the images or columns: HDF5 can refer to other files."""

    @property
    def stored_bytes(self) -> int:
        """Size of the images in the file, as they are stored there, in bytes."""

    @property
    def reading_bytes(self) -> int:
        """Memory that `pieces` needs, with the piece that it yielded last, in bytes.

        Raises
        ------
        SourceError
            If this machine has less, or the file is damaged.
        """

    @property
    def simulated(self) -> str:
        """Name of the simulation that made the images, or an empty string."""

    @property
    def note(self) -> str:
        """What the user should know about how the file is read, or an empty string."""

    @property
    def unread(self) -> tuple[str, ...]:
        """Names of what the file holds besides the images, labels and variables of `spec`."""

    @property
    def labelled(self) -> bool:
        """Whether the file has labels; always true unless it was opened with ``require_labels=False``."""

    @property
    def weighted(self) -> bool:
        """Whether the file has a column ``weight``."""

    def labels(self) -> UInt8Array:
        """Return the class of every row, uint8 (rows,).

        Raises
        ------
        SourceError
            If there are no labels, or a label is not the number of a class.
        """

    def weights(self) -> Float64Array:
        """Return the weight of every row, float64 (rows,).

        Raises
        ------
        SourceError
            If there are no weights, one is negative or not finite, or all are zero.
        """

    def variables(self) -> dict[str, Float32Array]:
        """Return the variables of `spec` by name, float32 (rows,), rounded from wider types.

        Raises
        ------
        SourceError
            If a value is not finite.
        """

    def read(self, start: int, stop: int) -> Float32Array:
        """Return the images of rows [start, stop), float32 (stop - start, ieta, iphi, channel).

        Raises
        ------
        SourceError
            If a value is not finite, or float32 cannot hold it exactly.
        OSError
            If the file cannot be read.
        """

    def pieces(self, start: int, stop: int) -> Iterator[Float32Array]:
        """Yield the images of rows [start, stop) in order, a few at a time, as it suits the file.

        Nothing is decompressed twice if `start` is a multiple of `block`.

        Yields
        ------
        numpy.ndarray
            float32 (n, ieta, iphi, channel), C-contiguous.

        Raises
        ------
        SourceError, OSError
            As `read`.
        """

    def scan(self, rows: int) -> Iterator[Float32Array]:
        """Yield all images in order, `rows` at a time, without decompressing anything twice.

        Yields
        ------
        numpy.ndarray
            float32 (rows, ieta, iphi, channel), C-contiguous; the last one may be shorter.

        Raises
        ------
        SourceError, OSError
            As `read`.
        """


def open_sources(paths: Sequence[Path], spec: DatasetSpec) -> list[Source]:
    """Open the labelled source files of a store.

    Raises
    ------
    SourceError
        If there are none, one breaks a rule or is given twice.
    ConfigError
        If a file is Parquet and pyarrow is not installed.
    """
    if not paths:
        raise SourceError("no source files given")
    unprintable = next((path.name for path in paths if not path.name.isprintable()), None)
    if unprintable:
        raise SourceError(f"the name of the source file {unprintable!r} has unprintable characters; rename it")
    paths = [path.absolute() for path in paths]  # workers of a cluster may run in another folder
    repeated = next((path for path, count in Counter(paths).items() if count > 1), None)
    if repeated:
        raise SourceError(f"{repeated}: is given twice")
    try_reading(paths, [spec, *DATASETS.values()])
    try:
        return [open_tried(path, spec) for path in paths]
    except SourceError as error:
        fitting = next((name for name, other in DATASETS.items() if _fit(paths, other)), None)
        if fitting is None:
            raise
        raise SourceError(f"{error}; --dataset {fitting} fits") from error


def _fit(paths: Sequence[Path], spec: DatasetSpec) -> bool:
    """Return whether files that `try_reading` was called for can be opened as a data set."""
    with suppress(SourceError, ConfigError):
        return bool([open_tried(path, spec) for path in paths])
    return False


def open_source(path: Path, spec: DatasetSpec, *, require_labels: bool = True) -> Source:
    """Open a source file; its first bytes tell Parquet from HDF5.

    Parameters
    ----------
    path
        The file.
    spec
        The data set that it must hold.
    require_labels
        Whether a file without labels is refused.

    Raises
    ------
    SourceError
        If the file breaks a rule; the message names file, rule and value.
    ConfigError
        If the file is Parquet and pyarrow is not installed.
    """
    try_reading([path], [spec])
    return open_tried(path, spec, require_labels=require_labels)


def try_reading(paths: Sequence[Path], specs: Sequence[DatasetSpec]) -> None:
    """Make sure that opening files as any of some data sets neither hangs nor crashes; see `store.sources.probe`.

    Raises
    ------
    SourceError
        If reading one of the files does not end, or crashes.
    """
    from store.sources.values import WEIGHT_KEY  # imports numba, which the child process of `probe` does not need

    keys = {key: None for spec in specs for key in (*spec.image_keys, spec.label_key, WEIGHT_KEY)}
    keys |= {variable.key: None for spec in specs for variable in spec.variables}
    probe([path for path in paths if path.is_file() and not is_parquet(path)], keys)


def open_tried(path: Path, spec: DatasetSpec, *, require_labels: bool = True) -> Source:
    """Open a source file that `try_reading` was called for; otherwise as `open_source`."""
    if path.is_dir():
        raise SourceError(f"{path}: is a folder; give the files in it")
    if not path.is_file():
        raise SourceError(f"{path}: no such file")
    if not is_parquet(path):
        from store.sources.hdf5 import Hdf5Source

        return Hdf5Source(path, spec, require_labels)
    check_pyarrow(path)
    from store.sources.parquet import ParquetSource

    return ParquetSource(path, spec, require_labels)


def is_parquet(path: Path) -> bool:
    """Return whether a file begins as Parquet files do."""
    with path.open("rb") as file:
        return file.read(len(PARQUET)) == PARQUET


def check_pyarrow(path: Path) -> None:
    """Raise ConfigError if pyarrow, which reads and writes Parquet files, is not installed."""
    if importlib.util.find_spec("pyarrow") is None:
        raise ConfigError(f"{path}: Parquet files need pyarrow; install calostream[parquet]")
