"""Damage to stores: to any of their files, and to the consistency between their parts."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr

from tests.fuzz.damage import Damage, Level, Mutation, choose, damage_bytes
from tests.fuzz.values import HOSTILE, damage_tree, to_json

DIGESTS = "image/SHA256SUMS"


def files_of(store: Path) -> list[Path]:
    """Return the files of a store, in a fixed order."""
    return sorted(path for path in store.rglob("*") if path.is_file())


def shards_of(store: Path) -> list[Path]:
    return [path for path in files_of(store) if path.parent.name == "image" and path.name.startswith("c.")]


def store_bytes(random: np.random.Generator, store: Path) -> Damage:
    """Damage the bytes of any file that is not a shard."""
    victim = choose(random, [path for path in files_of(store) if path not in shards_of(store)])
    victim.write_bytes(damage_bytes(random, victim.read_bytes()))
    return _damage(store, victim, "bytes", Level.READING)


def shard_bytes(random: np.random.Generator, store: Path) -> Damage:
    """Damage the bytes of a shard, in which only the index has a checksum that readers look at."""
    victim = choose(random, shards_of(store))
    victim.write_bytes(damage_bytes(random, victim.read_bytes()))
    return _damage(store, victim, "bytes", Level.VERIFY)


def metadata(random: np.random.Generator, store: Path) -> Damage:
    """Change the structure of one of the JSON files."""
    victim = choose(random, [path for path in files_of(store) if path.name == "zarr.json"])
    tree, note = damage_tree(random, json.loads(victim.read_text()))
    victim.write_text(to_json(tree))
    return _damage(store, victim, note, Level.READING)


def _damage(store: Path, victim: Path, note: str, level: Level) -> Damage:
    name = victim.relative_to(store).as_posix()
    return Damage(f"{name}: {note}", level, name)


Change = Callable[[np.random.Generator, Path], str]
"""Changes a store in place, and returns what was changed; opening it must show it."""
CHANGES: list[Change] = []


def change(function: Change) -> Change:
    CHANGES.append(function)
    return function


def store_structure(random: np.random.Generator, store: Path) -> Damage:
    """Make a store whose parts no longer fit each other."""
    chosen = CHANGES[random.integers(len(CHANGES))]
    name = chosen(random, store)
    level = Level.READING if chosen is empty_file else Level.OPENING
    return Damage(f"{chosen.__name__}: {name}", level, name)


def edit(path: Path, function: Callable[[dict[str, Any]], None]) -> str:
    """Change a JSON file by a function that changes its content in place."""
    tree = json.loads(path.read_text())
    function(tree)
    path.write_text(to_json(tree))
    return path.name


def write_values(store: Path, name: str, function: Callable[[Any], Any]) -> str:
    """Write other values into an array of the same length."""
    array = zarr.open_group(store, mode="r+", use_consolidated=False)[name]
    assert isinstance(array, zarr.Array)
    array[:] = function(np.asarray(array[:]))
    return name


@change
def lost_file(random: np.random.Generator, store: Path) -> str:
    """Delete any file except the record of digests, without which a store can still be read."""
    victim = choose(random, [path for path in files_of(store) if not path.match(DIGESTS)])
    victim.unlink()
    return victim.relative_to(store).as_posix()


@change
def lost_shard(random: np.random.Generator, store: Path) -> str:
    victim = choose(random, shards_of(store))
    victim.unlink()
    return victim.name


@change
def lost_labels(random: np.random.Generator, store: Path) -> str:
    shutil.rmtree(store / "label" / "c")
    return "label/c"


@change
def renamed_shard(random: np.random.Generator, store: Path) -> str:
    victim = choose(random, shards_of(store))
    victim.rename(victim.with_name(("c.99.0.0.0", "c.0.0.0.0.partial", f"._{victim.name}")[random.integers(3)]))
    return victim.name


@change
def folder_in_place(random: np.random.Generator, store: Path) -> str:
    victim = choose(random, [path for path in files_of(store) if not path.match(DIGESTS)])
    victim.unlink()
    victim.mkdir()
    return victim.relative_to(store).as_posix()


@change
def empty_file(random: np.random.Generator, store: Path) -> str:
    victim = choose(random, [path for path in files_of(store) if path not in shards_of(store)])
    victim.write_bytes(b"")
    return victim.relative_to(store).as_posix()


@change
def labels_that_are_no_class(random: np.random.Generator, store: Path) -> str:
    count = int(random.integers(1, 21))
    return write_values(
        store, "label", lambda label: np.r_[np.full(count, random.integers(2, 256), np.uint8), label[count:]]
    )


@change
def flipped_labels(random: np.random.Generator, store: Path) -> str:
    return write_values(store, "label", lambda label: 1 - label)


@change
def split(random: np.random.Generator, store: Path) -> str:
    changes = (
        lambda split: split[::-1],
        lambda split: split * 0,
        lambda split: split + 7,
        lambda split: np.roll(split, 5),
    )
    return write_values(store, "split", changes[random.integers(len(changes))])


@change
def provenance(random: np.random.Generator, store: Path) -> str:
    name = ("source_row", "source_file")[random.integers(2)]
    return write_values(store, name, lambda values: np.roll(values, 1) if name == "source_row" else values + 3)


@change
def split_ranges(random: np.random.Generator, store: Path) -> str:
    ranges = json.loads((store / "zarr.json").read_text())["attributes"]["split_ranges"]
    train, validation, test = ranges.values()
    choices: tuple[Any, ...] = (
        {"train": test, "validation": validation, "test": train},
        {**ranges, "train": [train[0], test[1]]},
        {**ranges, "train": [-5, train[1]]},
        {**ranges, "test": [test[0], test[1] + 1000]},
        {**ranges, "test": [test[0], 10**11]},
        {**ranges, "train": train[::-1]},
        {**ranges, "train": [train[0], train[1] - 1]},
        {"train": train, "test": test},
        {**ranges, "train": [0.5, "1"]},
        list(ranges.items()),
        HOSTILE[random.integers(len(HOSTILE))],
    )
    chosen = choices[random.integers(len(choices))]
    edit(store / "zarr.json", lambda tree: tree["attributes"].update(split_ranges=chosen))
    return f"zarr.json, {chosen!r:.60}"


@change
def attributes(random: np.random.Generator, store: Path) -> str:
    """Change an attribute that identifies the store."""
    key = ("content_digest", "dataset", "format", "format_version")[random.integers(4)]
    value = HOSTILE[random.integers(len(HOSTILE))]
    if key == "format_version" and value in (1, 2):
        value = 99
    edit(store / "zarr.json", lambda tree: tree["attributes"].update({key: value}))
    return f"zarr.json, {key} = {value!r:.40}"


@change
def length(random: np.random.Generator, store: Path) -> str:
    name = ("image", "label", "split", "source_row", "source_file")[random.integers(5)]
    rows = (0, 1, 10, 59, 61, 1000, 10**7, 10**11, 2**62)[random.integers(9)]
    edit(store / name / "zarr.json", lambda tree: tree["shape"].__setitem__(0, rows))
    return f"{name}/zarr.json, {rows} rows"


@change
def all_lengths(random: np.random.Generator, store: Path) -> str:
    rows = (1, 59, 61, 10**8, 10**11)[random.integers(5)]
    for name in ("image", "label", "split", "source_row", "source_file"):
        edit(store / name / "zarr.json", lambda tree: tree["shape"].__setitem__(0, rows))
    return f"zarr.json, {rows} rows everywhere"


@change
def selection(random: np.random.Generator, store: Path) -> str:
    """Write some rows, or all in another order, with xarray, under the attributes of the whole store."""
    dataset = xr.open_zarr(store, chunks=None, consolidated=False).load()
    rows = (
        np.flatnonzero(random.random(dataset.sizes["sample"]) < 0.7)
        if random.integers(2)
        else random.permutation(dataset.sizes["sample"])
    )
    shutil.rmtree(store)
    for variable in dataset.variables.values():
        variable.encoding = {}
    dataset.isel(sample=rows).to_zarr(store, zarr_format=3, consolidated=False)
    return f"{len(rows)} rows by xarray"


STORE: tuple[Mutation, ...] = (store_structure, store_bytes, metadata, shard_bytes, store_structure, metadata)
