"""Images to score, from a source file or a store, read in blocks; with labels and weights if there are any."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import store
from store.arrays import Float32Array, Float64Array, UInt8Array
from store.console import say
from store.datasets import SPLITS, DatasetSpec, Variable
from store.errors import ConfigError, SourceError
from store.locations import Location
from store.opening import Store
from store.remote.objects import open_objects
from store.sources import Source, describe_oddities, open_source
from store.sources.values import WEIGHT_KEY, as_float32, as_weights

BLOCK_BYTES = 16 << 20
METADATA = "zarr.json"  # of the root group of every store


@dataclass(frozen=True, kw_only=True)
class Images:
    """Images that can be read repeatedly, in the order of their rows.

    Attributes
    ----------
    location
        The file or store, or its URL.
    rows
        Number of images.
    label
        Class of each image, uint8 (rows,), or None if the file has no labels.
    weight
        Weight of each image in metrics, float64 (rows,), or None if the file has no weights.
    variables
        float32 (rows, variable), the requested variables in the requested order.
    blocks
        Yields the images as float32 (n, ieta, iphi, channel), about 16 MiB at a time. Raises SourceError if a value
        breaks a rule or a part of the file cannot be read.
    """

    location: Location
    rows: int
    label: UInt8Array | None
    weight: Float64Array | None
    variables: Float32Array
    blocks: Callable[[], Iterator[Float32Array]]


def open_images(location: Location, spec: DatasetSpec, variables: Sequence[str] = ()) -> Images:
    """Open a store, which is a folder, or a source file, which is HDF5 or Parquet, on this machine or at a URL.

    Source files are read by the same rules as in an ingest, except that labels are optional.

    Parameters
    ----------
    location
        What to open.
    spec
        The data set that the file or store must hold.
    variables
        Names of the variables to read.

    Raises
    ------
    SourceError
        If a file is missing or breaks a rule; the message names file, rule and value.
    StoreError
        If a folder is not a store.
    ConfigError
        If the data set has no variable of that name, or the file is Parquet and pyarrow is not installed.
    RemoteError
        If it is at a URL and cannot be read.
    """
    spec = replace(spec, variables=tuple(_find_variable(spec, name) for name in variables))
    return _open_store(location, spec) if _is_folder(location) else _open_file(location, spec)


def _is_folder(location: Location) -> bool:
    """Return whether something is a folder, and so a store, and not a file; at a URL, a store has metadata."""
    if isinstance(location, Path):
        return location.is_dir()
    if location.query:  # a signature is often for one object alone
        return location.suffix == ".zarr"
    return open_objects(location).info(METADATA) is not None


def _find_variable(spec: DatasetSpec, name: str) -> Variable:
    known = {variable.name: variable for variable in spec.variables}
    if name not in known:
        raise ConfigError(f"the data set {spec.name} has no variable {name!r}; known: {', '.join(known) or 'none'}")
    return known[name]


def _open_file(location: Location, spec: DatasetSpec) -> Images:
    source = open_source(location, spec, require_labels=False)
    if warning := describe_oddities(source):
        say(warning)
    key = spec.weight_key or WEIGHT_KEY
    return Images(
        location=location,
        rows=source.rows,
        label=source.labels() if source.labelled else None,
        weight=as_weights(source.path, key, source.column(key)) if source.has(key) else None,
        variables=_as_table(source.path, source.variables(), source.rows),
        blocks=lambda: _scan(source, _block_rows(spec)),
    )


def _scan(source: Source, rows: int) -> Iterator[Float32Array]:
    try:
        yield from source.scan(rows)
    except OSError as error:
        raise SourceError(str(error)) from error


def _open_store(location: Location, spec: DatasetSpec) -> Images:
    opened = store.open_store(location)
    rows, *shape = opened.image.shape
    if tuple(shape) != spec.image_shape:
        raise SourceError(f"{location}: images have shape {tuple(shape)}, expected {spec.image_shape}")

    def column(name: str) -> npt.NDArray[Any]:
        if name not in opened.group:
            raise SourceError(f"{location}: no array {name!r} in the store")
        return np.asarray(opened.group[name][...])  # type: ignore[index]

    names = [variable.name for variable in spec.variables]
    label = column("label")
    if label.size and label.max() >= len(spec.classes):
        raise SourceError(
            f"{location}: has samples of label {label.max()}; {spec.name} has {len(spec.classes)} classes"
        )
    return Images(
        location=location,
        rows=rows,
        label=label,
        weight=as_weights(opened.folder, WEIGHT_KEY, column(WEIGHT_KEY)) if WEIGHT_KEY in opened.group else None,
        variables=_as_table(opened.folder, {name: column(name) for name in names}, rows),
        blocks=lambda: _read_store(opened, _block_rows(spec)),
    )


def _read_store(opened: Store, rows: int) -> Iterator[Float32Array]:
    for split in SPLITS:
        start, stop = opened.split_range(split)
        if start < stop:
            for batch in store.BatchStream(opened.path, split=split, batch_size=rows, shuffle="none"):
                yield batch.image


def _block_rows(spec: DatasetSpec) -> int:
    return max(1, BLOCK_BYTES // spec.sample_bytes)


def _as_table(path: Path, columns: Mapping[str, npt.NDArray[Any]], rows: int) -> Float32Array:
    """Return columns, each (rows,), as one array, float32 (rows, column)."""
    numbers = [as_float32(path, name, column) for name, column in columns.items()]
    return np.stack(numbers, axis=1) if numbers else np.empty((rows, 0), np.float32)
