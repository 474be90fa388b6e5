"""Damage to the files of an interrupted ingest, with which the next one continues."""

import os
import re
import shutil
from pathlib import Path

import numpy as np

from tests.fuzz.damage import Damage, Level, Mutation, damage_bytes
from tests.fuzz.material import OTHER_SPOOL
from tests.fuzz.values import json_of

UNIQUE = re.compile(r"-[0-9a-f]{32}")  # the part of a run's name that is drawn anew each time


def files_of(spool: Path, *suffixes: str) -> list[Path]:
    """Return the files of a staging folder, in a fixed order."""
    found = [path for path in spool.rglob("*") if path.is_file() and path.name != ".lock"]
    chosen = [path for path in found if not suffixes or path.suffix in suffixes]
    return sorted(chosen, key=lambda path: known_name(spool, path))


def known_name(spool: Path, path: Path) -> str:
    """Return the path of a file in a staging folder, without what is drawn anew each time."""
    return UNIQUE.sub("", path.relative_to(spool).as_posix())


def kind_of(path: Path) -> str:
    """Return the kind of a file: runs, shards, records of shards and so on."""
    return re.sub(r"\d+", "0", UNIQUE.sub("", path.name))


def choose(random: np.random.Generator, paths: list[Path]) -> Path:
    return paths[random.integers(len(paths))]


def choose_by_kind(random: np.random.Generator, spool: Path) -> Path:
    """Return a file of a random kind: there are few of some kinds and many of others."""
    files = files_of(spool)
    kinds = sorted({kind_of(path) for path in files})
    kind = kinds[random.integers(len(kinds))]
    return choose(random, [path for path in files if kind_of(path) == kind])


def damage_of(spool: Path, path: Path, what: str) -> Damage:
    return Damage(f"{known_name(spool, path)}: {what}", Level.READING, path.name)


def spool_bytes(random: np.random.Generator, spool: Path) -> Damage:
    """Damage the bytes of any file."""
    victim = choose(random, files_of(spool))
    victim.write_bytes(damage_bytes(random, victim.read_bytes() or b"\x00"))
    return damage_of(spool, victim, "bytes")


def spool_slightly(random: np.random.Generator, spool: Path) -> Damage:
    """Flip a bit of a file of any kind, cut off its last byte, or append one."""
    victim = choose_by_kind(random, spool)
    content = bytearray(victim.read_bytes() or b"\x00")
    match random.integers(4):
        case 0:
            del content[-1]
            what = "one byte less"
        case 1:
            content.append(int(random.integers(256)))
            what = "one byte more"
        case _:
            place = int(random.integers(len(content)))
            content[place] ^= 1 << int(random.integers(8))
            what = f"a bit of byte {place}"
    victim.write_bytes(content)
    return damage_of(spool, victim, what)


def spool_records(random: np.random.Generator, spool: Path) -> Damage:
    """Change the structure of a JSON file."""
    victim = choose(random, files_of(spool, ".json"))
    damage = json_of(random, victim)
    return damage_of(spool, victim, damage.note)


def spool_files(random: np.random.Generator, spool: Path) -> Damage:
    """Delete, empty, cut, exchange or repeat files, or put something else in their place."""
    victim = choose_by_kind(random, spool)
    same_kind = [path for path in files_of(spool) if kind_of(path) == kind_of(victim) and path != victim] or [victim]
    other = choose(random, same_kind)
    content, kind = victim.read_bytes(), int(random.integers(10))
    victim.unlink()
    match kind:
        case 0:
            what = "deleted"
        case 1:
            victim.write_bytes(b"")
            what = "empty"
        case 2:
            victim.write_bytes(b"\x00" * len(content))
            what = "zeros"
        case 3:
            victim.write_bytes(content[: len(content) // 2])
            what = "half"
        case 4 if other != victim:
            other.rename(victim)
            other.write_bytes(content)
            what = f"exchanged with {known_name(spool, other)}"
        case 5 if other != victim:
            shutil.copy(other, victim)
            what = f"a copy of {known_name(spool, other)}"
        case 6:
            victim.mkdir()
            (victim / "inside").write_bytes(content)
            what = "a folder"
        case 7:
            victim.with_name("elsewhere").write_bytes(content)
            victim.symlink_to("elsewhere")
            what = "a link to a file"
        case 8:
            victim.symlink_to("nowhere")
            what = "a link to nothing"
        case _:
            os.mkfifo(victim)
            what = "a pipe"
    return damage_of(spool, victim, what)


def spool_folders(random: np.random.Generator, spool: Path) -> Damage:
    """Put something else in the place of a folder, or something that does not belong there into it."""
    folders = sorted(path for path in spool.rglob("*") if path.is_dir())
    victim = choose(random, folders)
    kind = int(random.integers(5))
    match kind:
        case 0:
            shutil.rmtree(victim)
            what = "deleted"
        case 1:
            shutil.rmtree(victim)
            victim.write_bytes(b"x")
            what = "a file"
        case 2:
            victim.rename(spool / "elsewhere")
            victim.symlink_to(spool / "elsewhere")
            what = "a link to a folder"
        case 3:
            name = ("c.99.0.0.0", "zarr.json", "shard-000099.json", "000099-0.run", ".x.partial")[random.integers(5)]
            (victim / name).write_bytes(b"{}")
            what = f"{name} is in it"
        case _:
            (victim / "c.99.0.0.0").mkdir(exist_ok=True)
            (victim / "label").symlink_to(spool) if not (victim / "label").exists() else None
            what = "more folders are in it"
    return damage_of(spool, victim, what)


def spool_of_another(random: np.random.Generator, spool: Path) -> Damage:
    """Replace files, or all files of a folder, by those that an ingest with another seed and split left."""
    others = next(spool.parent.joinpath(OTHER_SPOOL).glob(".*.ingest"))
    own = next(spool.glob(".*.ingest"))
    names = {known_name(others, path): path for path in files_of(others)}
    same = [path for path in files_of(own) if known_name(own, path) in names]
    if random.integers(2) or not same:
        shutil.copytree(others / "spool", own / "spool", dirs_exist_ok=True)
        return damage_of(spool, own / "spool", "has the files of another ingest")
    victim = choose(random, same)
    shutil.copy(names[known_name(own, victim)], victim)
    return damage_of(spool, victim, "that of another ingest")


SPOOL: tuple[Mutation, ...] = (
    spool_bytes,
    spool_files,
    spool_records,
    spool_slightly,
    spool_folders,
    spool_of_another,
)
