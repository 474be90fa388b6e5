"""A description of the data set in a file, to start from: what the file says, and guesses at what it does not say."""

import itertools
import json
import keyword
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from store.datasets import DATASETS
from store.descriptions import LARGEST_AXIS, LARGEST_IMAGE, RESERVED
from store.errors import SourceError, printable
from store.sources.hdf5_storage import find_dataset, opened
from store.sources.probe import probe
from store.sources.source import check_pyarrow, is_parquet, open_source

LABELS = ("y", "label", "labels", "target", "targets", "class", "truth", "is_signal")
"""What labels are usually called, the most usual name first."""
LOOK_ROWS = 1_000_000  # of labels, to see their values
MOST_ENTRIES = 1000
MOST_CHANNELS = 100
DEEPEST = 4  # groups in groups
GUESS = "GUESS"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A dataset of an HDF5 file, or a column of a Parquet file.

    Attributes
    ----------
    name
        Its name in the file.
    shape
        Its shape with the rows first; nested lists are as long as in the first row.
    kind
        Its type, in the words of the file.
    is_float, is_number
        Whether its values are floating-point numbers, or numbers of any type.
    channel_first
        Whether images in this form usually have their channels on the first axis.
    """

    name: str
    shape: tuple[int, ...]
    kind: str
    is_float: bool
    is_number: bool
    channel_first: bool = False

    @property
    def is_column(self) -> bool:
        """Whether it has one number per row."""
        return self.is_number and self.shape[1:] in ((), (1,)) and len(self.shape) > 0

    def __str__(self) -> str:
        return f"{self.shape} {self.kind}"


def describe_file(path: Path) -> str:
    """Return a description of the data set in an HDF5 or Parquet file as TOML, in which guesses are marked.

    Raises
    ------
    SourceError
        If the file cannot be read, or nothing in it looks like images.
    ConfigError
        If the file is Parquet and pyarrow is not installed.
    """
    if not path.is_file():
        raise SourceError(f"{path}: is a folder; give a file in it" if path.is_dir() else f"{path}: no such file")
    in_parquet = is_parquet(path)
    if in_parquet:
        check_pyarrow(path)
    found = _parquet_entries(path) if in_parquet else _hdf5_entries(path)
    entries = [entry for entry in found if entry.name.isprintable() and entry.shape]
    image = max(filter(_may_be_images, entries), key=lambda e: (len(e.shape), math.prod(e.shape)), default=None)
    if image is None:
        listed = ", ".join(f"{entry.name} {entry}" for entry in entries) or "nothing"
        raise SourceError(
            f"{path}: nothing looks like images, floats (rows, ieta, iphi, channel); the file has {listed}"
        )
    columns = [entry for entry in entries if entry.is_column and entry.shape[0] == image.shape[0]]
    label, values = _find_label(path, columns, in_parquet)
    variables = [column for column in columns if column is not label]
    others = [entry for entry in entries if entry not in (image, *columns)]
    lines = [
        f"# The data set in {path.name}, {image.shape[0]:,} rows, for `ingest --dataset`; check each {GUESS}.",
        *(f"# The built-in --dataset {name} fits this file as well." for name in _fitting(path)),
        *_general_lines(path),
        *_image_lines(image),
        *_label_lines(label, values),
        *_variable_lines(variables),
        *(["", "# Not described:"] if others else []),
        *(f"# {entry.name}: {entry}" for entry in others),
    ]
    return "".join(f"{printable(line)}\n" for line in lines)


def _hdf5_entries(path: Path) -> list[Entry]:
    """Return the datasets of an HDF5 file, after a trial reading: see `store.sources.probe`."""
    probe([path], [])
    with opened(path) as file:
        names = [*itertools.islice(_dataset_names(file, "", 0), MOST_ENTRIES)]
    probe([path], names)
    entries = []
    with opened(path) as file:
        for name in names:
            with suppress(SourceError):
                dataset = find_dataset(file, path, name)
                kind = dataset.dtype.kind
                entries.append(
                    Entry(
                        name=name,
                        shape=dataset.shape,
                        kind=str(dataset.dtype),
                        is_float=kind == "f",
                        is_number=kind in "fiub",
                    )
                )
    return entries


def _dataset_names(group: Any, prefix: str, depth: int) -> Iterator[str]:
    """Yield the names of the datasets in a group and in the groups in it."""
    for name in group:
        with suppress(KeyError, OSError, RuntimeError, ValueError):
            kind = group.get(name, getclass=True)
            if kind is h5py.Dataset:
                yield f"{prefix}{name}"
            elif kind is h5py.Group and depth < DEEPEST:
                yield from _dataset_names(group[name], f"{prefix}{name}/", depth + 1)


def _parquet_entries(path: Path) -> list[Entry]:
    """Return the columns of a Parquet file."""
    import pyarrow as pa

    from store.sources.parquet_storage import read_footer

    footer = read_footer(path, path.stat().st_mtime_ns)
    rows, names = int(footer.first_row[-1]), footer.schema.names
    entries = []
    for field in footer.schema:
        kind, value, depth = field.type, field.type, 0
        while any(test(value) for test in (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)):
            value, depth = value.value_type, depth + 1
        if names.count(field.name) > 1 or depth > 3:
            continue
        try:
            shape = (rows, *(_list_sizes(path, footer, field.name, depth) if depth and rows else ()))
        except SourceError:  # of a damaged column, which may not be the one with images
            continue
        if pa.types.is_fixed_size_binary(kind) and kind.byte_width % 4 == 0:
            shape, value = (rows, *_image_shape(kind.byte_width // 4)), pa.float32()
        is_float = pa.types.is_floating(value)
        is_number = is_float or pa.types.is_integer(value) or pa.types.is_boolean(value) or pa.types.is_decimal(value)
        entries.append(
            Entry(
                name=field.name,
                shape=shape,
                kind=str(kind),
                is_float=is_float,
                is_number=is_number,
                channel_first=depth > 0,
            )
        )
    return entries


def _list_sizes(path: Path, footer: Any, name: str, depth: int) -> tuple[int, ...]:
    """Return how long the nested lists of the first row of a column are."""
    from store.sources.parquet_storage import check_pages, name_errors, open_file

    group = int(np.flatnonzero(np.diff(footer.first_row))[0])
    check_pages(path, footer, [name], [group])
    with (
        name_errors(path, f"{name} cannot be read", SourceError),
        open_file(path, footer.metadata) as file,
    ):
        batches = file.iter_batches(1, row_groups=[group], columns=[name], use_threads=False)
        values = next(batches).column(name)
        sizes = []
        for _ in range(depth):
            first = values[0].values if len(values) else None
            sizes.append(0 if first is None else len(first))
            values = [] if first is None else first
    return tuple(sizes)


def _image_shape(values: int) -> tuple[int, int, int]:
    """Return a guess at the shape of an image of that many values: square, with as few channels as possible."""
    sides = {channels: math.isqrt(values // channels) for channels in range(1, MOST_CHANNELS)}
    return next(
        ((side, side, channels) for channels, side in sides.items() if side * side * channels == values),
        (1, values, 1),
    )


def _may_be_images(entry: Entry) -> bool:
    """Return whether `ingest` could read images from an entry."""
    sizes = entry.shape[1:]
    return (
        entry.is_float
        and len(sizes) in (2, 3)
        and all(1 <= size <= LARGEST_AXIS for size in sizes)
        and 4 * math.prod(sizes) <= LARGEST_IMAGE
        and (len(sizes) == 2 or min(sizes[0], sizes[2]) <= MOST_CHANNELS)
        and entry.shape[0] > 0
    )


def _find_label(path: Path, columns: Sequence[Entry], in_parquet: bool) -> tuple[Entry | None, list[float]]:
    """Return the column that is most like labels, and up to ten of its values: its name or its values say so."""
    named = sorted(
        (column for column in columns if column.name.lower() in LABELS),
        key=lambda column: LABELS.index(column.name.lower()),
    )
    values: dict[str, list[float]] = {}
    for column in (*named, *(column for column in columns if column not in named)):
        values[column.name] = np.unique(_read_column(path, column.name, in_parquet))[:10].tolist()
        if set(values[column.name]) <= {0, 1}:
            return column, values[column.name]
    return (named[0], values[named[0].name]) if named else (None, [])


def _read_column(path: Path, name: str, in_parquet: bool) -> npt.NDArray[Any]:
    """Return the first values of a column of numbers."""
    if not in_parquet:
        with opened(path) as file:
            return np.asarray(file[name][:LOOK_ROWS])
    from store.sources.parquet_columns import check_column, read_columns
    from store.sources.parquet_storage import read_footer

    footer = read_footer(path, path.stat().st_mtime_ns)
    check_column(path, footer, name)
    try:
        return read_columns(path, footer, [name])[name][:LOOK_ROWS]
    except OSError as error:
        raise SourceError(str(error)) from error


def _fitting(path: Path) -> Iterator[str]:
    """Yield the names of the built-in data sets that a file holds."""
    for name, spec in DATASETS.items():
        with suppress(SourceError):
            open_source(path, spec)
            yield name


def _general_lines(path: Path) -> list[str]:
    name = re.sub("[^A-Za-z0-9._-]+", "-", path.stem).strip("-._")[:50] or "data"
    name = f"{name}-images" if name in DATASETS else name
    return [
        f"name = {_quoted(name)}  # {GUESS}; the store is data/{name}.zarr",
        f"title = {_quoted(f'Images of {path.name}'[:300])}  # {GUESS}",
    ]


def _image_lines(image: Entry) -> list[str]:
    first, last = image.shape[1], image.shape[-1]
    flat = len(image.shape) == 3
    in_front = image.channel_first if first == last else first < last
    sizes = image.shape[1:]
    ieta, iphi, channels = (*sizes, 1) if flat else ((*sizes[1:], sizes[0]) if in_front else sizes)
    lines = ["", "[image]", f"keys = [{_quoted(image.name)}]  # {image}"]
    lines.append(f"shape = [{ieta}, {iphi}, {channels}]  # {GUESS}: ieta, iphi, channel")
    if not flat:
        lines.append(f'layout = "channel-{"first" if in_front else "last"}"  # {GUESS}')
    lines.append(f"seed = [{ieta // 2}, {iphi // 2}]  # {GUESS}: the cell that images are centred on")
    for channel in range(channels):
        lines += [
            "",
            "[[image.channels]]",
            f'name = "channel-{channel}"  # {GUESS}',
            f'unit = "1"  # {GUESS}: such as "GeV"',
            f"scale = 1.0  # {GUESS}: stored value x scale is in this unit",
        ]
    return lines


def _label_lines(label: Entry | None, values: Sequence[float]) -> list[str]:
    if label is None:
        key = f'key = "y"  # {GUESS}: no column looks like labels, which are 0 or 1'
    else:
        shown = ", ".join(f"{value:g}" for value in values)
        key = f"key = {_quoted(label.name)}  # {GUESS}: {label}, values {shown}"
    return ["", "[label]", key, f'classes = ["class-0", "class-1"]  # {GUESS}: names of label 0 and label 1']


def _variable_lines(variables: Sequence[Entry]) -> list[str]:
    lines, taken = [], {""}
    for variable in variables:
        name = re.sub("[^A-Za-z0-9_]+", "_", variable.name)[:50].lstrip("0123456789")
        if name in RESERVED or keyword.iskeyword(name) or name in taken:
            name = next(f"{name}_{k}" for k in itertools.count(1) if f"{name}_{k}" not in taken)
        taken.add(name)
        lines += [
            "",
            f"[[variables]]  # delete those that you do not need; {variable}",
            f"name = {_quoted(name)}",
            f"key = {_quoted(variable.name)}",
            f"long_name = {_quoted(variable.name[:300])}  # {GUESS}",
            f'unit = "1"  # {GUESS}: such as "GeV"',
        ]
    return lines


def _quoted(text: str) -> str:
    """Return a printable text as a string of TOML, which are those of JSON."""
    return json.dumps(text, ensure_ascii=False)
