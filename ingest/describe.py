"""A description of the data set in a file, to start from: what the file says, and guesses at what it does not say."""

import itertools
import json
import keyword
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from ingest.file_entries import MOST_CHANNELS, Entry, guess_shape, list_entries, read_first
from ingest.label_guess import LabelGuess, find_label
from store.datasets import DATASETS
from store.descriptions import LARGEST_AXIS, LARGEST_IMAGE, RESERVED
from store.errors import SourceError, printable
from store.locations import Location
from store.sources.copies import fetch_all
from store.sources.opening import open_tried

WEIGHTS = (
    "weight",
    "weights",
    "w",
    "sample_weight",
    "event_weight",
    "mc_weight",
    "mcweight",
    "evt_weight",
    "genweight",
)
"""What weights are usually called, the most usual name first."""
LEAST_FLAT = 16  # values of a flat image
GUESS = "GUESS"
DOUBLE = "float64", "double"  # names of the type in both formats


def describe_file(location: Location) -> str:
    """Return a description of the data set in an HDF5 or Parquet file as TOML, in which guesses are marked.

    A file at a URL is fetched into the local cache.

    Raises
    ------
    SourceError
        If the file cannot be read, or nothing in it looks like images.
    ConfigError
        If the file is Parquet and pyarrow is not installed, or the cache is too small for one at a URL.
    RemoteError
        If a file at a URL cannot be fetched.
    """
    (path,) = fetch_all([location])
    entries = [entry for entry in list_entries(path) if entry.name.isprintable() and entry.shape]
    image = max(filter(_may_be_images, entries), key=_rank, default=None)
    if image is None:
        listed = ", ".join(f"{entry.name} {entry}" for entry in entries) or "nothing"
        raise SourceError(
            f"{path}: nothing looks like images, numbers (rows, ieta, iphi, channel); the file has {listed}"
        )
    others = [entry for entry in entries if entry is not image]
    label = find_label(path, [entry for entry in others if entry.shape[0] == image.shape[0]])
    columns = [
        entry
        for entry in others
        if entry.is_number and entry.is_column and entry.shape[0] == image.shape[0] and entry is not label.entry
    ]
    weight = _find_weight(path, columns)
    undescribed = [entry for entry in others if entry not in (label.entry, *columns)]
    lines = [
        f"# The data set in {path.name}, {image.shape[0]:,} rows, for `ingest --dataset`; check each {GUESS}.",
        *(f"# The built-in --dataset {name} fits this file as well." for name in _fitting(path)),
        *_general_lines(path),
        *_image_lines(image),
        *_label_lines(label),
        *_weight_lines(weight),
        *_variable_lines([column for column in columns if column is not weight], weight),
        *(["", "# Not described:"] if undescribed else []),
        *(f"# {entry.name}: {entry}" for entry in undescribed),
    ]
    return "".join(f"{printable(line)}\n" for line in lines)


def _may_be_images(entry: Entry) -> bool:
    """Return whether `ingest` could read images from an entry."""
    sizes = entry.shape[1:]
    return (
        entry.is_number
        and len(sizes) in (1, 2, 3)
        and all(1 <= size <= LARGEST_AXIS for size in _image_shape(entry))
        and 4 * math.prod(sizes) <= LARGEST_IMAGE
        and (len(sizes) != 3 or min(sizes[0], sizes[2]) <= MOST_CHANNELS)
        and (len(sizes) != 1 or sizes[0] >= LEAST_FLAT)
        and entry.shape[0] > 0
    )


def _rank(entry: Entry) -> tuple[int, bool, int]:
    """Return what makes an entry more like images than another: more axes, floating-point numbers, more values."""
    return len(entry.shape), entry.values == "float", math.prod(entry.shape)


def _fitting(path: Path) -> Iterator[str]:
    """Yield the names of the built-in data sets that a file holds."""
    for name, spec in DATASETS.items():
        with suppress(SourceError):
            open_tried(path, spec)
            yield name


def _find_weight(path: Path, columns: Sequence[Entry]) -> Entry | None:
    """Return the column that is called as weights usually are, and could be."""
    named = [column for column in columns if column.name.rpartition("/")[2].lower() in WEIGHTS]
    for column in sorted(named, key=lambda column: WEIGHTS.index(column.name.rpartition("/")[2].lower())):
        values = read_first(path, column)
        if np.isfinite(values).all() and values.min() >= 0:
            return column
    return None


def _general_lines(path: Path) -> list[str]:
    name = re.sub("[^A-Za-z0-9._-]+", "-", path.stem).strip("-._")[:50] or "data"
    name = f"{name}-images" if name in DATASETS else name
    return [
        f"name = {_quoted(name)}  # {GUESS}; the store is data/{name}.zarr",
        f"title = {_quoted(f'Images of {path.name}'[:300])}  # {GUESS}",
    ]


def _is_channel_first(image: Entry) -> bool:
    first, last = image.shape[1], image.shape[-1]
    return len(image.shape) == 4 and (image.channel_first if first == last else first < last)


def _image_shape(image: Entry) -> tuple[int, int, int]:
    """Return ieta, iphi and channel: what the file says, or a guess for flat images."""
    sizes = image.shape[1:]
    if len(sizes) == 1:
        return guess_shape(sizes[0])
    ieta, iphi, channels = (*sizes, 1) if len(sizes) == 2 else sizes
    return (iphi, channels, ieta) if _is_channel_first(image) else (ieta, iphi, channels)


def _image_lines(image: Entry) -> list[str]:
    ieta, iphi, channels = _image_shape(image)
    flat, no_axis = len(image.shape) == 2, len(image.shape) == 3
    lines = ["", "[image]", f"keys = [{_quoted(image.name)}]  # {image}"]
    values = f"; the file has {image.shape[1]} values per image" if flat else ""
    lines.append(f"shape = [{ieta}, {iphi}, {channels}]  # {GUESS}: ieta, iphi, channel{values}")
    if not no_axis:
        order = ": the order of the values" if flat else ""
        lines.append(f'layout = "channel-{"first" if _is_channel_first(image) else "last"}"  # {GUESS}{order}')
    if any(kind in image.kind for kind in DOUBLE):
        lines.append("# round = true  # rounds values that float32 does not have exactly; otherwise they are refused")
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


def _label_lines(label: LabelGuess) -> list[str]:
    lines = ["", "[label]"]
    if label.entry is None:
        lines.append(f"# {GUESS}: nothing looks like labels; add key, or tell classes by `ingest --label CLASS=FILES`")
    else:
        lines.append(f"key = {_quoted(label.entry.name)}  # {GUESS}: {label.entry}, {label.seen}")
    lines.append(f"classes = [{', '.join(map(_quoted, label.classes))}]  # {GUESS}: {label.meaning}")
    if label.values:
        values = ", ".join(_quoted(value) if isinstance(value, str) else str(value) for value in label.values)
        lines.append(f"values = [{values}]  # what the file has for each class")
    return lines


def _weight_lines(weight: Entry | None) -> list[str]:
    return [] if weight is None else ["", "[weight]", f"key = {_quoted(weight.name)}  # {GUESS}: {weight}"]


def _variable_lines(variables: Sequence[Entry], weight: Entry | None) -> list[str]:
    lines, taken = [], {""} if weight is None else {"", "weight"}
    for variable in variables:
        name = re.sub("[^A-Za-z0-9_]+", "_", variable.name)[:50].lstrip("0123456789")
        if name in RESERVED or keyword.iskeyword(name) or name in taken:
            name = next(f"{name}_{k}" for k in itertools.count(1) if f"{name}_{k}" not in taken)
        taken.add(name)
        stored = ", int64 in a store" if variable.values == "integer" else ""
        lines += [
            "",
            f"[[variables]]  # delete those that you do not need; {variable}{stored}",
            f"name = {_quoted(name)}",
            f"key = {_quoted(variable.name)}",
            f"long_name = {_quoted(variable.name[:300])}  # {GUESS}",
            f'unit = "1"  # {GUESS}: such as "GeV"',
        ]
    return lines


def _quoted(text: str) -> str:
    """Return a printable text as a string of TOML, which are those of JSON."""
    return json.dumps(text, ensure_ascii=False)
