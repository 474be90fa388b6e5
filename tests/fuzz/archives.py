"""Damage to ``.npz`` files: to their zip members, and to the arrays in these."""

import io
import zipfile
from pathlib import Path

import numpy as np

from tests.fuzz.damage import Damage, Level, damage_bytes

SHAPES = (
    "(10**11,)",
    "(100000000000,)",
    "(4294967296, 4294967296)",
    "(-1,)",
    "(2.5,)",
    "('a',)",
    "()",
    "5",
    "(((((",
    "(1,)" * 99,
)
TYPES = (
    "'<f99999'",
    "'|O'",
    "'<U1000000000'",
    "[('a', '<f8')]",
    "'nonsense'",
    "None",
    "'<f8', 'descr': '|O'",
    "'>c16'",
)
METHODS = (1, 8, 9, 12, 14, 93, 99, 65535)
VALUES = (
    np.array(["text"]),
    np.array([1 + 2j]),
    np.array(0.5),
    np.zeros((3, 4)),
    np.array([np.nan, np.inf]),
    np.array([-1, 2**62]),
    np.zeros(0),
    np.array([2**64 - 1], np.uint64),
    np.array(["2020-01-01"], "M8[D]"),
    np.array([b"\x1b[2J"]),
    np.array([True, False]),
    np.array([{"a": 1}, None], dtype=object),
)


def archive_of(random: np.random.Generator, path: Path) -> Damage:
    """Change a member of the archive; the checksums of the archive fit what is written."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = list(members)[random.integers(len(members))]
    kind, added = random.integers(9), None
    if kind == 0:
        del members[name]
    elif kind == 1:
        members[(".npy", f"{name}.npy", "../up.npy", "\x1b[2J.npy")[random.integers(4)]] = members.pop(name)
    elif kind == 2:
        added = name, members[list(members)[random.integers(len(members))]]
    elif kind == 3:
        members[name] = members[name][: random.integers(len(members[name]))]
    elif kind == 4:
        members[name] = _with_header(random, members[name])
    elif kind == 5:
        members[name] = _saved(VALUES[random.integers(len(VALUES))])
    elif kind == 6:
        members[name] = _saved(_other_values(random, members[name]))
    elif kind == 7:
        members[name] = damage_bytes(random, members[name])
    with zipfile.ZipFile(path, "w") as archive:
        for member, data in members.items():
            archive.writestr(member, data)
        if added:
            # A second entry of the same name; zipfile would warn about it.
            archive.NameToInfo.pop(added[0], None)
            archive.writestr(*added)
    if kind == 8:
        _set_method(random, path)
    return Damage(f"{path.name}: {name}, kind {kind}", Level.NOBODY, path.name)


def _with_header(random: np.random.Generator, data: bytes) -> bytes:
    """Return an npy file with another header."""
    size = int.from_bytes(data[8:10], "little")
    header = data[10 : 10 + size].decode("latin1")
    if random.integers(2):
        before, after = header.index("(", header.index("'shape'")), header.index(")") + 1
        header = header[:before] + SHAPES[random.integers(len(SHAPES))] + header[after:]
    else:
        before, after = header.index(":") + 2, header.index(", 'fortran")
        header = header[:before] + TYPES[random.integers(len(TYPES))] + header[after:]
    return data[:8] + len(header).to_bytes(2, "little") + header.encode("latin1") + data[10 + size :]


def _saved(values: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=True)
    return buffer.getvalue()


def _other_values(random: np.random.Generator, data: bytes) -> np.ndarray:
    """Return an array of the same type with some other values, another order, or another length."""
    values = np.load(io.BytesIO(data))
    if values.dtype.kind not in "biuf" or not values.size:
        return values[()]
    values = np.atleast_1d(values)
    match random.integers(5):
        case 0:
            return values[:-1]
        case 1:
            return values[::-1]
        case 2:
            return np.concatenate([values, values])
        case 3:
            return values.reshape(1, *values.shape)
        case _:
            strange = (
                [np.nan, np.inf, -np.inf, -1.0, 2.0, 1e300] if values.dtype.kind == "f" else [-1, 2, 3, 200, 2**31 - 1]
            )
            with np.errstate(all="ignore"):
                values.flat[random.integers(values.size)] = np.array(strange[random.integers(len(strange))]).astype(
                    values.dtype
                )
            return values


def _set_method(random: np.random.Generator, path: Path) -> None:
    """Let the archive name another compression than its members have."""
    data, method = bytearray(path.read_bytes()), METHODS[random.integers(len(METHODS))].to_bytes(2, "little")
    for signature, place in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        start = data.find(signature)
        while start >= 0:
            data[start + place : start + place + 2] = method
            start = data.find(signature, start + 4)
    path.write_bytes(data)
