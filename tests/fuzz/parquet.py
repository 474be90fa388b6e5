"""Damage to Parquet files of jets: to their bytes, and to their contents."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.fuzz.damage import Damage, Level, Mutation, changed_range, damage_bytes
from tests.fuzz.values import ESCAPES
from tests.page_headers import NUMBERS, write_number

SIZES = (3, 125, 125)  # of the nested lists: channel, ieta, iphi
OPTIONS: dict[str, Any] = {
    "row_group_size": 2,
    "write_page_checksum": True,
    "compression": "snappy",
    "use_dictionary": False,
}


def image_column(images: np.ndarray, dtype: Any = None) -> pa.Array:
    """Return images (n, channel, ieta, iphi) as nested lists."""
    column = pa.array(images.reshape(-1), dtype)
    for size in reversed(images.shape[1:]):
        column = pa.ListArray.from_arrays(np.arange(0, len(column) + 1, size, dtype=np.int32), column)
    return column


def images_of(table: pa.Table) -> np.ndarray:
    """Return the images of an undamaged table, (n, channel, ieta, iphi)."""
    column = table["X_jets"].combine_chunks()
    for _ in SIZES:
        column = column.flatten()
    return column.to_numpy().reshape(-1, *SIZES)


def parquet_bytes(random: np.random.Generator, path: Path) -> Damage:
    """Damage the bytes; the pages have checksums, the footer has none."""
    good = path.read_bytes()
    footer = len(good) - 8 - int.from_bytes(good[-8:-4], "little")
    bad = damage_bytes(random, good)
    path.write_bytes(bad)
    first, last = changed_range(good, bad)
    level = Level.READING if last <= footer else Level.NOBODY
    return Damage(f"bytes {first} to {last} of {len(good)}, footer at {footer}, now {len(bad)}", level, path.name)


def page_headers(random: np.random.Generator, path: Path) -> Damage:
    """Change a number in the header of a page: of a type, a size, or how many values there are."""
    column, name = pick(random, ("X_jets", "pt", "m0", "y")), pick(random, NUMBERS)
    group, value = int(random.integers(4)), pick(random, (None, 0, 1, 2, 3, 10))
    value = write_number(path, column, name, value, group)
    return Damage(f"{name} of {column} in row group {group} is {value}", Level.READING, path.name)


Change = Callable[[np.random.Generator, pa.Table], tuple[pa.Table, dict[str, Any]]]
"""Returns a changed table, and options to write it with."""
CHANGES: list[Change] = []


def change(function: Change) -> Change:
    CHANGES.append(function)
    return function


def parquet_structure(random: np.random.Generator, path: Path) -> Damage:
    """Write something else in place of a column, or the same in another form."""
    chosen = CHANGES[random.integers(len(CHANGES))]
    table, options = chosen(random, pq.read_table(path))
    pq.write_table(table, path, **{**OPTIONS, **options})
    return Damage(chosen.__name__, Level.NOBODY if chosen in OTHER_VALUES else Level.READING, path.name)


def pick(random: np.random.Generator, choices: Any) -> Any:
    return choices[random.integers(len(choices))]


def replaced(table: pa.Table, name: str, column: Any) -> pa.Table:
    return table.set_column(table.schema.get_field_index(name), name, column)


@change
def image_lists(random: np.random.Generator, table: pa.Table) -> tuple[pa.Table, dict[str, Any]]:
    """Change one of the nested lists."""
    rows = table["X_jets"].slice(0, 1).to_pylist()
    row = int(random.integers(len(table)))
    image = rows[0]
    depth = random.integers(3)
    victim = image if depth == 0 else image[1] if depth == 1 else image[1][7]
    match random.integers(3):
        case 0:
            victim.pop()
        case 1:
            victim.append(victim[0])
        case _:
            victim *= 100
    damaged = pa.chunked_array(
        [
            table["X_jets"].slice(0, row).combine_chunks(),
            pa.array([image], table["X_jets"].type),
            table["X_jets"].slice(row + 1).combine_chunks(),
        ]
    )
    return replaced(table, "X_jets", damaged), {}


@change
def other_sizes(random: np.random.Generator, table: pa.Table) -> tuple[pa.Table, dict[str, Any]]:
    images = images_of(table)
    shape = pick(
        random,
        (
            (len(table), 125, 125, 3),
            (len(table), 3, 125 * 125),
            (len(table), 1, 3, 125, 125),
        ),
    )
    return replaced(table, "X_jets", image_column(images.reshape(shape))), {}


@change
def image_nulls(random: np.random.Generator, table: pa.Table) -> tuple[pa.Table, dict[str, Any]]:
    rows: list[Any] = table["X_jets"].slice(0, 1).to_pylist()
    match random.integers(4):
        case 0:
            rows = [None]
        case 1:
            rows[0][1] = None
        case 2:
            rows[0][1][5] = None
        case _:
            rows[0][1][5][6] = None
    column = pa.chunked_array([pa.array(rows, table["X_jets"].type), *table["X_jets"].slice(1).chunks])
    return replaced(table, "X_jets", column), {}


@change
def image_values(random: np.random.Generator, table: pa.Table) -> tuple[pa.Table, dict[str, Any]]:
    images = images_of(table).astype(pick(random, ("f4", "f8")))
    images[2, 1, 5, 6] = pick(
        random, (np.nan, np.inf, 0.1 if images.dtype == "f8" else np.nan, 1e300 if images.dtype == "f8" else -np.inf)
    )
    return replaced(table, "X_jets", image_column(images)), {}


@change
def image_type(random: np.random.Generator, table: pa.Table) -> tuple[pa.Table, dict[str, Any]]:
    images = images_of(table)
    rows = len(table)
    columns = (
        image_column(images.astype("f8")), image_column(images.astype("i4")), image_column(images.astype("?")),
        pa.array([b"x" * 10] * rows), pa.array(["x"] * rows), pa.array(np.arange(rows)), pa.nulls(rows),
        pa.array([{"a": 1}] * rows), pa.array([b"x" * 187_500] * rows, pa.binary(187_500)),
    )  # fmt: skip
    return replaced(table, "X_jets", pick(random, columns)), {}


@change
def flat_lists(random: np.random.Generator, table: pa.Table) -> tuple[pa.Table, dict[str, Any]]:
    flat = np.moveaxis(images_of(table), 1, -1).reshape(len(table), -1)
    return replaced(table, "X_jets", image_column(pick(random, (flat, flat[:, 1:])))), {}


@change
def other_lists(random: np.random.Generator, table: pa.Table) -> tuple[pa.Table, dict[str, Any]]:
    large, fixed = (
        pa.large_list(pa.large_list(pa.large_list(pa.float32()))),
        pa.list_(pa.list_(pa.list_(pa.float32(), 125), 125), 3),
    )
    return replaced(table, "X_jets", table["X_jets"].cast(pick(random, (large, fixed)))), {}


@change
def column_type(random: np.random.Generator, table: pa.Table) -> tuple[pa.Table, dict[str, Any]]:
    name = pick(random, ("y", "pt", "m0"))
    rows, values = len(table), table[name].to_numpy()
    columns = (
        pa.array(["1"] * rows), pa.array([[1.0]] * rows),
        pa.array(values.astype("i8") if name == "y" else values.astype("f8")), pa.array(values > 1e9),
        pa.array([b"1"] * rows),
        pa.array([None] * (rows - 1) + [1], pa.decimal128(5, 2)), pa.array(np.arange(rows), pa.timestamp("s")),
        pa.array([1] * rows, pa.int8()).dictionary_encode(),
    )  # fmt: skip
    return replaced(table, name, pick(random, columns)), {}


@change
def column_nulls(random: np.random.Generator, table: pa.Table) -> tuple[pa.Table, dict[str, Any]]:
    name, rows = pick(random, ("y", "pt", "m0")), len(table)
    columns = pa.array([*table[name].to_pylist()[:-1], None]), pa.nulls(rows), pa.nulls(rows, pa.float32())
    return replaced(table, name, pick(random, columns)), {}


@change
def column_values(random: np.random.Generator, table: pa.Table) -> tuple[pa.Table, dict[str, Any]]:
    name = pick(random, ("y", "pt", "m0"))
    values = table[name].to_numpy().astype("f8")
    values[random.integers(len(values))] = pick(
        random, (np.nan, np.inf, -np.inf, 1e300, 2.5 if name == "y" else np.nan)
    )
    return replaced(table, name, pa.array(values)), {}


@change
def columns(random: np.random.Generator, table: pa.Table) -> tuple[pa.Table, dict[str, Any]]:
    kind = random.integers(5)
    names = [name for name in table.column_names if name != "y" or kind not in (0, 2)]
    name = pick(random, names)
    match kind:
        case 0:
            return table.drop_columns([name]), {}
        case 1:
            return table.append_column(name, pa.nulls(len(table), pa.float32())), {}
        case 2:
            return table.rename_columns([ESCAPES if old == name else old for old in table.column_names]), {}
        case 3:
            return table.select(list(reversed(table.column_names))), {}
        case _:
            for number in range(300):
                table = table.append_column(f"extra{number}", pa.nulls(len(table), pa.int8()))
            return table, {}


@change
def without_labels(random: np.random.Generator, table: pa.Table) -> tuple[pa.Table, dict[str, Any]]:
    """Remove or rename the labels, which an ingest needs and a score does not."""
    if random.integers(2):
        return table.drop_columns(["y"]), {}
    return table.rename_columns([ESCAPES if old == "y" else old for old in table.column_names]), {}


@change
def form(random: np.random.Generator, table: pa.Table) -> tuple[pa.Table, dict[str, Any]]:
    choices: tuple[dict[str, Any], ...] = (
        {"row_group_size": 1}, {"row_group_size": 100}, {"compression": "zstd"}, {"compression": "none"},
        {"use_dictionary": True}, {"data_page_size": 1000}, {"data_page_size": 1 << 30}, {"version": "1.0"},
        {"data_page_version": "2.0"}, {"use_byte_stream_split": ["pt"]},
    )  # fmt: skip
    return table, pick(random, choices)


@change
def rows(random: np.random.Generator, table: pa.Table) -> tuple[pa.Table, dict[str, Any]]:
    """Write no rows, or so many equal ones that they take nearly no space in the file."""
    if random.integers(2):
        return table.slice(0, 0), {}
    index = np.zeros(pick(random, (10**6, 10**7)), np.int32)
    ones = pa.DictionaryArray.from_arrays(index, pa.array([1.0]))
    columns = {"X_jets": pa.nulls(len(index)), **dict.fromkeys(("y", "pt", "m0"), ones)}
    return pa.table(columns), {"store_schema": False, "use_dictionary": True, "row_group_size": 10**7}


@change
def metadata(random: np.random.Generator, table: pa.Table) -> tuple[pa.Table, dict[str, Any]]:
    value = pick(random, (ESCAPES.encode(), b"\xff\xfe", b"", b"x" * 100_000, b"two\nlines", b"\x00"))
    return table.replace_schema_metadata({b"simulation": value}), {}


OTHER_VALUES = {image_type, column_type, without_labels}
"""Changes that may give a file that is different but valid."""
PARQUET: tuple[Mutation, ...] = (parquet_bytes, parquet_structure, page_headers)
