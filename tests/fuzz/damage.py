"""The description of a damage, and damage to the bytes of any file."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import numpy as np

SIGNATURES = (
    *(b"\x89HDF", b"OHDR", b"OCHK", b"TREE", b"SNOD", b"HEAP", b"GCOL", b"BTHD", b"FADB", b"FAHD", b"EAHD", b"FRHP"),
    *(b"PAR1", b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06", b"\x93NUMPY", b"\x02\x01\x02\x20"),
)
"""First bytes of the structures inside HDF5, Parquet, zip and npy files, and of a Blosc chunk."""
NEAR = 96  # this many bytes after a signature are damaged more often than others
TAIL = 1100  # and so are this many at the end of a file: footers, central directories, the index of a shard
WORDS = (
    0,
    1,
    2,
    127,
    128,
    255,
    0x7FFF,
    0xFFFF,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
    1 << 40,
    (1 << 63) - 1,
    (1 << 64) - 1,
)


class Level(Enum):
    """Which programs must notice a damage; all others may miss it, but must not crash."""

    OPENING = "every program that opens the store must refuse it"
    READING = "every program that reads the values must refuse them, or get those of the undamaged input"
    VERIFY = "only `ingest verify` must notice it"
    NOBODY = "no program can notice it, or the changed input is allowed, too"


@dataclass(frozen=True)
class Damage:
    """What was done to an input.

    Attributes
    ----------
    note
        Description in words.
    level
        Which programs must notice it.
    file
        Name of the damaged file, relative to the damaged folder if the input is a folder.
    """

    note: str
    level: Level = Level.READING
    file: str = ""


Mutation = Callable[[np.random.Generator, Path], Damage]
"""Damages a file or folder in place."""


def choose(random: np.random.Generator, paths: list[Path]) -> Path:
    """Return one of some paths."""
    return paths[random.integers(len(paths))]


def hot_spots(data: bytes) -> list[int]:
    """Return the offsets at which structures begin."""
    spots = []
    for signature in SIGNATURES:
        start = data.find(signature)
        while start >= 0 and len(spots) < 1000:
            spots.append(start)
            start = data.find(signature, start + 1)
    return spots


def choose_offset(random: np.random.Generator, data: bytes, spots: list[int]) -> int:
    """Return an offset: anywhere, near the beginning of a structure, or near the end of the file."""
    kind = random.integers(3)
    if kind == 0 and spots:
        return int(min(len(data) - 1, random.choice(spots) + random.integers(NEAR)))
    if kind == 1:
        return int(max(0, len(data) - 1 - random.integers(TAIL)))
    return int(random.integers(len(data)))


def damage_bytes(random: np.random.Generator, data: bytes) -> bytes:
    """Return the bytes after one to three damages of any kind."""
    good, spots = data, hot_spots(data)
    while data == good:
        for _ in range(random.integers(1, 4)):
            data = _damage_once(random, data, spots) or b"\x00"
    return data


def _damage_once(random: np.random.Generator, data: bytes, spots: list[int]) -> bytes:
    start, size = choose_offset(random, data, spots), int(2 ** random.integers(0, 11))
    stop = min(len(data), start + size)
    block = data[start:stop]
    match random.integers(10):
        case 0 | 1:
            return data[:start] + bytes([data[start] ^ 1 << random.integers(8)]) + data[start + 1 :]
        case 2:
            return data[:start] + b"\x00" * len(block) + data[stop:]
        case 3:
            return data[:start] + b"\xff" * len(block) + data[stop:]
        case 4:
            return data[:start] + random.bytes(len(block)) + data[stop:]
        case 5:
            return data[:start]
        case 6:
            return data[:start] + random.bytes(size) + data[start:]
        case 7:
            return data[:stop] + block + data[stop:]
        case 8:
            other = int(random.integers(len(data)))
            return data[:start] + data[other : other + len(block)] + data[stop:]
        case _:
            width = int(2 ** random.integers(4))
            word = WORDS[random.integers(len(WORDS))] & ((1 << 8 * width) - 1)
            order = "little" if random.integers(2) else "big"
            return (data[:start] + word.to_bytes(width, order) + data[start + width :])[: len(data)]


def bytes_of(random: np.random.Generator, path: Path) -> Damage:
    """Damage the bytes of a file whose checksums cover everything that is read from it."""
    return Damage(rewrite(random, path), Level.READING, path.name)


def bytes_without_checksum(random: np.random.Generator, path: Path) -> Damage:
    """Damage the bytes of a file that has no checksums."""
    return Damage(rewrite(random, path), Level.NOBODY, path.name)


def rewrite(random: np.random.Generator, path: Path) -> str:
    """Damage the bytes of a file; return a description of the damage."""
    good = path.read_bytes()
    bad = damage_bytes(random, good)
    path.write_bytes(bad)
    first = changed_range(good, bad)[0]
    return f"{path.name}: bytes from {first} of {len(good)} on, now {len(bad)}"


def changed_range(good: bytes, bad: bytes) -> tuple[int, int]:
    """Return the first changed byte, and one past the last; up to the end if the length changed."""
    if len(good) != len(bad):
        shorter = min(len(good), len(bad))
        same = np.frombuffer(good[:shorter], np.uint8) == np.frombuffer(bad[:shorter], np.uint8)
        return (shorter if same.all() else int(np.argmin(same))), max(len(good), len(bad))
    changed = np.flatnonzero(np.frombuffer(good, np.uint8) != np.frombuffer(bad, np.uint8))
    return int(changed[0]), int(changed[-1]) + 1
