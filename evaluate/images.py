"""Images to score, from HDF5, Parquet or a store, a block at a time; with their labels if there are any."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

import store
from evaluate.metrics import Floats, checked_weight
from evaluate.score_tables import check_parquet, is_parquet
from store.datasets import SPLITS, DatasetSpec
from store.errors import RunError, SourceError

with contextlib.suppress(ImportError):
    import hdf5plugin  # noqa: F401  where it is installed, h5py then knows its filters (blosc, zstd, ...)

WEIGHT_KEY = "weight"
BLOCK_BYTES = 1 << 24
CHUNK_CACHE = 1 << 28  # HDF5 chunks may hold thousands of images, and blocks are smaller: each is decompressed once
Block = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Images:
    """Images that can be read once or more, in the order of their rows.

    Attributes
    ----------
    path
        Where they are.
    rows
        How many.
    label
        uint8 (rows,), or None if the file has none.
    weight
        float64 (rows,), how much each counts in metrics, or None if the file has no ``weight``.
    variables
        float32 (rows, variable), those that were asked for.
    blocks
        Yields them as float32 (n, ieta, iphi, channel) with about 16 MiB a block; raises SourceError for values that
        are not finite.
    """

    path: Path
    rows: int
    label: npt.NDArray[np.uint8] | None
    weight: Floats | None
    variables: Block
    blocks: Callable[[], Iterator[Block]]


def open_images(path: Path, spec: DatasetSpec, variables: Sequence[str] = ()) -> Images:
    """Open a store (a folder), a Parquet file (by its first bytes) or an HDF5 file.

    In Parquet an image is nested lists in the order channel, ieta, iphi, as the jets were published, or a fixed number
    of bytes: little-endian float32 in the order ieta, iphi, channel.

    Parameters
    ----------
    path
        What to open.
    description
        Names of the columns, and the shape of an image.
    variables
        Names of those to read too.

    Raises
    ------
    SourceError
        If there is nothing, or the images, labels or variables break a rule; the message names file, rule and value.
    ConfigError
        If pyarrow is needed and not installed.
    """
    if path.is_dir():
        images = _open_store(path, spec, variables)
    elif not path.is_file():
        raise SourceError(f"{path}: no such file")
    elif is_parquet(path):
        images = _open_parquet(path, spec, variables)
    else:
        images = _open_hdf5(path, spec, variables)
    if not images.rows:
        raise SourceError(f"{path}: holds no images")
    return replace(images, blocks=lambda: _finite(images))


def _finite(images: Images) -> Iterator[Block]:
    start = 0
    for block in images.blocks():
        broken = ~np.isfinite(block).all(axis=(1, 2, 3))
        if broken.any():
            row = int(np.argmax(broken))
            value = block[row][~np.isfinite(block[row])][0]
            raise SourceError(f"{images.path}: image {start + row} holds {value}; values must be finite")
        yield block
        start += len(block)


def _block_rows(spec: DatasetSpec) -> int:
    return max(1, BLOCK_BYTES // spec.sample_bytes)


def _find(path: Path, names: list[str], spec: DatasetSpec) -> str:
    """Return the name that the images have in a file."""
    found = [key for key in spec.image_keys if key in names]
    if not found:
        wanted, there = " or ".join(spec.image_keys), ", ".join(names) or "nothing"
        raise SourceError(f"{path}: no images called {wanted}; the file has {there}")
    return found[0]


def _check_shape(path: Path, key: str, shape: tuple[int, ...], spec: DatasetSpec) -> None:
    if shape != spec.image_shape:
        raise SourceError(f"{path}: {key} holds images of shape {shape}, expected {spec.image_shape}")


def _check_labels(path: Path, key: str, values: npt.NDArray[Any], rows: int) -> npt.NDArray[np.uint8]:
    if values.size != rows:
        raise SourceError(f"{path}: {rows} images but {key} has shape {values.shape}")
    if values.dtype.kind not in "biuf":
        raise SourceError(f"{path}: {key} has dtype {values.dtype}; labels must be 0 or 1")
    values = values.reshape(-1)
    strange = np.flatnonzero((values != 0) & (values != 1))
    if strange.size:
        raise SourceError(f"{path}: {key}[{strange[0]}] = {values[strange[0]]}; labels must be 0 or 1")
    return values.astype(np.uint8)


def _check_variables(path: Path, columns: dict[str, npt.NDArray[Any]], names: Sequence[str], rows: int) -> Block:
    """Return the columns with those names, one beside the other."""
    table = np.empty((rows, len(names)), np.float32)
    for place, name in enumerate(names):
        if name not in columns:
            raise SourceError(f"{path}: has no {name}, which the model takes besides the images")
        values = columns[name]
        if values.size != rows or values.dtype.kind not in "fiu":
            raise SourceError(
                f"{path}: {name} must be {rows} numbers, it has shape {values.shape} and dtype {values.dtype}"
            )
        with np.errstate(over="ignore"):
            table[:, place] = values.reshape(-1)
        if not np.isfinite(table[:, place]).all():
            row = int(np.argmin(np.isfinite(table[:, place])))
            raise SourceError(f"{path}: {name}[{row}] = {table[row, place]}; values must be finite")
    return table


def _check_weights(path: Path, values: npt.NDArray[Any], rows: int) -> Floats:
    try:
        return checked_weight(values.reshape(-1), (rows,))
    except (RunError, ValueError) as error:
        raise SourceError(f"{path}: {WEIGHT_KEY}: {error}") from None


def _column(file: h5py.File, name: str) -> npt.NDArray[Any]:
    if not isinstance(file[name], h5py.Dataset):
        raise SourceError(f"{file.filename}: {name} is a group, expected a data set")
    return np.asarray(file[name][()])


def _open_hdf5(path: Path, spec: DatasetSpec, variables: Sequence[str]) -> Images:
    label_key = spec.label_key
    try:
        with h5py.File(path) as file:
            key = _find(path, [name for name in file if isinstance(file[name], h5py.Dataset)], spec)
            _check_shape(path, key, file[key].shape[1:], spec)
            if file[key].dtype.kind != "f":
                raise SourceError(f"{path}: {key} has dtype {file[key].dtype}, expected a float type")
            rows = len(file[key])
            columns = {name: _column(file, name) for name in (label_key, WEIGHT_KEY, *variables) if name in file}
            label = _check_labels(path, label_key, columns[label_key], rows) if label_key in file else None
            weight = _check_weights(path, columns[WEIGHT_KEY], rows) if WEIGHT_KEY in file else None
            table = _check_variables(path, columns, variables, rows)
    except OSError as error:
        raise SourceError(f"{path}: neither a store nor a readable HDF5 or Parquet file ({error})") from None

    def blocks() -> Iterator[Block]:
        with h5py.File(path, rdcc_nbytes=CHUNK_CACHE) as file:
            for start in range(0, rows, _block_rows(spec)):
                try:
                    block = file[key][start : start + _block_rows(spec)]
                except OSError as error:
                    raise SourceError(f"{path}: {key} cannot be read from row {start} on ({error})") from None
                with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused as that
                    yield block.astype(np.float32, copy=False)

    return Images(path=path, rows=rows, label=label, weight=weight, variables=table, blocks=blocks)


def _open_parquet(path: Path, spec: DatasetSpec, variables: Sequence[str]) -> Images:
    check_parquet(path)
    import pyarrow as pa
    import pyarrow.parquet as pq

    label_key = spec.label_key
    try:
        with pq.ParquetFile(path) as file:
            names, rows = file.schema_arrow.names, file.metadata.num_rows
            key = _find(path, names, spec)
            label = weight = None
            if label_key in names:
                label = _check_labels(path, label_key, file.read([label_key])[label_key].to_numpy(), rows)
            if WEIGHT_KEY in names:
                weight = _check_weights(path, file.read([WEIGHT_KEY])[WEIGHT_KEY].to_numpy(), rows)
            columns = file.read([name for name in variables if name in names])
            found = {name: columns[name].to_numpy() for name in columns.column_names}
            table = _check_variables(path, found, variables, rows)
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"{path}: not a readable Parquet file ({error})") from None

    def blocks() -> Iterator[Block]:
        with pq.ParquetFile(path) as file:
            try:
                for batch in file.iter_batches(_block_rows(spec), columns=[key]):
                    yield _from_arrow(path, key, batch.column(key), spec)
            except (pa.ArrowException, OSError) as error:
                raise SourceError(f"{path}: {key} cannot be read ({error})") from None

    return Images(path=path, rows=rows, label=label, weight=weight, variables=table, blocks=blocks)


def _from_arrow(path: Path, key: str, column: Any, spec: DatasetSpec) -> Block:
    """Return a column of a Parquet file as images; see `open_images` for its two forms."""
    from pyarrow import types

    if column.null_count:
        raise SourceError(f"{path}: {key} has {column.null_count} rows without an image")
    if types.is_fixed_size_binary(column.type):
        if column.type.byte_width != spec.sample_bytes:
            size, shape = column.type.byte_width, spec.image_shape
            raise SourceError(f"{path}: {key} has {size} bytes a row, expected {spec.sample_bytes} for {shape}")
        raw = column.buffers()[1]
        first = column.offset * column.type.byte_width
        values = np.frombuffer(raw, "<f4", offset=first, count=len(column) * spec.sample_bytes // 4)
        return values.reshape(len(column), *spec.image_shape).astype(np.float32, copy=False)
    lengths = [len(column)]
    while types.is_nested(column.type):
        found = np.unique(column.value_lengths().to_numpy())
        if found.size != 1:
            raise SourceError(f"{path}: {key} has lists of {found[0]} to {found[-1]} values, expected one length")
        lengths.append(int(found[0]))
        column = column.flatten()
    _check_shape(path, key, (*lengths[2:], *lengths[1:2]), spec)
    values = column.to_numpy(zero_copy_only=False).astype(np.float32)
    return np.ascontiguousarray(np.moveaxis(values.reshape(lengths), 1, -1))


def _open_store(path: Path, spec: DatasetSpec, variables: Sequence[str]) -> Images:
    opened = store.open_store(path)
    _check_shape(path, "image", opened.image.shape[1:], spec)
    label = np.asarray(opened.group["label"][...])  # type: ignore[index]
    weight = None
    if WEIGHT_KEY in opened.group:
        weight = _check_weights(path, np.asarray(opened.group[WEIGHT_KEY][...]), len(label))  # type: ignore[index]
    columns = {name: np.asarray(opened.group[name][...]) for name in variables if name in opened.group}  # type: ignore[index]
    table = _check_variables(path, columns, variables, len(label))

    def blocks() -> Iterator[Block]:
        for split in SPLITS:
            start, stop = opened.split_range(split)
            if start < stop:
                size = _block_rows(spec)
                for batch in store.BatchStream(path, split=split, batch_size=size, shuffle="none"):
                    yield batch.image

    return Images(path=path, rows=len(label), label=label, weight=weight, variables=table, blocks=blocks)
