"""Opening source files: by their first bytes as HDF5 or Parquet, after fetching those at URLs."""

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from store.datasets import DATASETS, DatasetSpec
from store.errors import ConfigError, SourceError
from store.extras import require
from store.locations import Location, Url
from store.sources.copies import fetch_all
from store.sources.probe import probe
from store.sources.source import Source

PARQUET = b"PAR1"  # first bytes of every Parquet file
SHOWN = 10  # classes named in one message


def open_sources(
    locations: Sequence[Location], spec: DatasetSpec, classes: Sequence[int | None] | None = None
) -> list[Source]:
    """Open the labelled source files of a store, after fetching those at URLs.

    Parameters
    ----------
    locations
        The files.
    spec
        The data set that they must hold.
    classes
        For each file, the number of the class of all its rows, or None if its labels say it.

    Raises
    ------
    SourceError
        If there are none, one breaks a rule or is given twice, or the class of one is not known.
    ConfigError
        If a file is Parquet and pyarrow is not installed, or the cache is too small for those at URLs.
    RemoteError
        If a file at a URL cannot be fetched.
    """
    if not locations:
        raise SourceError("no source files given")
    unprintable = next((location.name for location in locations if not location.name.isprintable()), None)
    if unprintable:
        raise SourceError(f"the name of the source file {unprintable!r} has unprintable characters; rename it")
    # workers of a cluster may run in another folder
    locations = [location.absolute() if isinstance(location, Path) else location for location in locations]
    location, count = Counter(locations).most_common(1)[0]
    if count > 1:
        raise SourceError(f"{location}: is given twice")
    told = [None] * len(locations) if classes is None else classes
    paths = fetch_all(locations)
    try_reading(paths, [spec, *DATASETS.values()])
    try:
        return [
            open_tried(path, spec, told=number, url=location if isinstance(location, Url) else None)
            for location, path, number in zip(locations, paths, told, strict=True)
        ]
    except SourceError as error:
        fitting = next((name for name, other in DATASETS.items() if other != spec and _fit(paths, other)), None)
        if fitting is None:
            raise
        raise SourceError(f"{error}; --dataset {fitting} fits") from error


def _fit(paths: Sequence[Path], spec: DatasetSpec) -> bool:
    """Return whether files that `try_reading` was called for can be opened as a data set."""
    with suppress(SourceError, ConfigError):
        return bool([open_tried(path, spec) for path in paths])
    return False


def open_source(location: Location, spec: DatasetSpec, *, require_labels: bool = True) -> Source:
    """Open a source file, after fetching it if it is at a URL; its first bytes tell Parquet from HDF5.

    Parameters
    ----------
    location
        The file.
    spec
        The data set that it must hold.
    require_labels
        Whether a file without labels, or without the weights of the data set, is refused.

    Raises
    ------
    SourceError
        If the file breaks a rule; the message names file, rule and value.
    ConfigError
        If the file is Parquet and pyarrow is not installed, or the cache is too small for one at a URL.
    RemoteError
        If it is at a URL and cannot be fetched.
    """
    (path,) = fetch_all([location])
    try_reading([path], [spec])
    url = location if isinstance(location, Url) else None
    return open_tried(path, spec, require_labels=require_labels, url=url)


def try_reading(paths: Sequence[Path], specs: Sequence[DatasetSpec]) -> None:
    """Make sure that opening files as any of some data sets neither hangs nor crashes; see `store.sources.probe`.

    Raises
    ------
    SourceError
        If reading one of the files does not end, or crashes.
    """
    from store.sources.values import WEIGHT_KEY  # imports numba, which the child process of `probe` does not need

    names = (key for spec in specs for key in (*spec.image_keys, spec.label_key, spec.weight_key or WEIGHT_KEY))
    variables = (variable.key for spec in specs for variable in spec.variables)
    keys = dict.fromkeys(filter(None, (*names, *variables)))
    probe([path for path in paths if path.is_file() and not is_parquet(path)], keys)


def open_tried(
    path: Path, spec: DatasetSpec, *, require_labels: bool = True, told: int | None = None, url: Url | None = None
) -> Source:
    """Open a source file that `try_reading` was called for; otherwise as `open_source`.

    Parameters
    ----------
    path
        The file, or its copy on this machine.
    spec, require_labels
        See `open_source`.
    told
        Number of the class of all rows, or None if the labels in the file say it.
    url
        See `Source.url`.
    """
    if path.is_dir():
        raise SourceError(f"{path}: is a folder; give the files in it")
    if not path.is_file():
        raise SourceError(f"{path}: no such file")
    if require_labels and not spec.label_key and told is None:
        raise SourceError(
            f"{path}: the description of {spec.name} names no labels (label.key), so that the class of the file is not "
            f"known; --label CLASS=FILES tells it, with a class of {', '.join(spec.classes[:SHOWN])}"
        )
    if not is_parquet(path):
        from store.sources.hdf5 import Hdf5Source

        return Hdf5Source(path, spec, require_labels, told, url)
    check_pyarrow(path)
    from store.sources.parquet import ParquetSource

    return ParquetSource(path, spec, require_labels, told, url)


def is_parquet(path: Path) -> bool:
    """Return whether a file begins as Parquet files do."""
    with path.open("rb") as file:
        return file.read(len(PARQUET)) == PARQUET


def check_pyarrow(path: Path) -> None:
    """Raise MissingPackageError if pyarrow, which reads and writes Parquet files, is not installed."""
    require("parquet", "pyarrow", needed_by=str(path))
