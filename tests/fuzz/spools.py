"""Damage to the files of an interrupted ingest, with which the next one continues."""

import shutil
from pathlib import Path

import numpy as np

from tests.fuzz.damage import Damage, Level, Mutation, damage_bytes
from tests.fuzz.values import json_of


def files_of(spool: Path, *suffixes: str) -> list[Path]:
    """Return the files of a staging folder, in a fixed order; names that are drawn anew each time do not decide it."""
    found = [path for path in spool.rglob("*") if path.is_file() and path.name != ".lock"]
    chosen = [path for path in found if not suffixes or path.suffix in suffixes]
    return sorted(chosen, key=lambda path: (path.parent.name, path.name[:6], path.suffix))


def choose(random: np.random.Generator, paths: list[Path]) -> Path:
    return paths[random.integers(len(paths))]


def spool_bytes(random: np.random.Generator, spool: Path) -> Damage:
    """Damage the bytes of any file."""
    victim = choose(random, files_of(spool))
    victim.write_bytes(damage_bytes(random, victim.read_bytes() or b"\x00"))
    return Damage(f"{victim.name}: bytes", Level.READING, victim.name)


def spool_records(random: np.random.Generator, spool: Path) -> Damage:
    """Change the structure of a JSON file."""
    damage = json_of(random, choose(random, files_of(spool, ".json")))
    return Damage(damage.note, Level.READING, damage.file)


def spool_files(random: np.random.Generator, spool: Path) -> Damage:
    """Delete, empty, cut or exchange files."""
    victim = choose(random, files_of(spool))
    same_kind = [path for path in files_of(spool, victim.suffix) if path != victim] or [victim]
    kind, other = random.integers(6), choose(random, same_kind)
    match kind:
        case 0:
            victim.unlink()
        case 1:
            victim.write_bytes(b"")
        case 2:
            victim.write_bytes(b"\x00" * victim.stat().st_size)
        case 3:
            victim.write_bytes(victim.read_bytes()[: victim.stat().st_size // 2])
        case 4:
            first, second = victim.read_bytes(), other.read_bytes()
            victim.write_bytes(second)
            other.write_bytes(first)
        case _:
            victim.unlink()
            victim.mkdir()
            shutil.copy(other, victim / "inside") if other.is_file() else None
    return Damage(f"{victim.name}, kind {kind}", Level.READING, victim.name)


SPOOL: tuple[Mutation, ...] = (spool_bytes, spool_files, spool_records)
