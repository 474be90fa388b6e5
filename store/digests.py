"""The sha256 of every file of a store, in a file in the format of ``sha256sum`` beside the shards.

``cd STORE && sha256sum -c image/SHA256SUMS`` checks a store without this project. The file is in the folder of an array
because Zarr readers ignore unknown files there.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from store.datasets import SPLITS
from store.errors import CorruptStoreError
from store.files import sha256, write_whole
from store.locations import Location

DIGESTS_FILE = "image/SHA256SUMS"
SHA256 = re.compile(r"[0-9a-f]{64}")
SHARD = re.compile(r"image/c\.(\d+)\.0\.0\.0")


def write_digests(root: Path, known: Mapping[str, str] | None = None) -> None:
    """Record the sha256 of every file of a store.

    Parameters
    ----------
    root
        The store.
    known
        Digests that need not be computed again, by path relative to the store; also of files that are elsewhere.
    """
    known = known or {}
    names = sorted({*known, *(file.relative_to(root).as_posix() for file in root.rglob("*") if file.is_file())})
    lines = [f"{known.get(name) or sha256(root / name)}  {name}\n" for name in names if name != DIGESTS_FILE]
    write_whole(root / DIGESTS_FILE, "".join(lines).encode())


def read_digests(root: Path) -> dict[str, str]:
    """Return the recorded digests by path relative to the store.

    Raises
    ------
    CorruptStoreError
        If there is no record, or one of its lines is invalid.
    """
    try:
        content = (root / DIGESTS_FILE).read_bytes()
    except OSError as error:
        raise CorruptStoreError(f"{root / DIGESTS_FILE}: no readable record of digests ({error})") from None
    return parse_digests(content, root / DIGESTS_FILE)


def parse_digests(content: bytes, location: Location) -> dict[str, str]:
    """Return the digests in a record, by path relative to the store.

    Parameters
    ----------
    content
        The record.
    location
        Where it is, for messages.

    Raises
    ------
    CorruptStoreError
        If one of its lines is invalid.
    """
    try:
        lines = content.decode().splitlines()
    except UnicodeDecodeError as error:
        raise CorruptStoreError(f"{location}: no readable record of digests ({error})") from None
    digests = {}
    for number, line in enumerate(lines, 1):
        digest, separator, name = line.partition("  ")
        if not SHA256.fullmatch(digest) or not separator or not _is_inside(name):
            raise CorruptStoreError(f"{location}: line {number} is not a digest and a name")
        digests[name] = digest
    return digests


def _is_inside(name: str) -> bool:
    """Return whether a recorded name is that of a file inside the store."""
    return name.isprintable() and not name.startswith("/") and not {"", ".", ".."} & set(name.split("/"))


def shard_digests(recorded: Mapping[str, str]) -> list[str]:
    """Return the recorded digests of the image shards, in the order of the shards."""
    numbers = {int(match[1]): name for name in recorded if (match := SHARD.fullmatch(name))}
    return [recorded[numbers[number]] for number in sorted(numbers)]


def content_digest(
    shards: Sequence[str], split_ranges: Mapping[str, Sequence[int]], columns: Iterable[npt.NDArray[Any]]
) -> str:
    """Return the sha256 that identifies a store's content: shards, splits, labels, provenance, variables and weights.

    Parameters
    ----------
    shards
        The sha256 of each image shard, in order.
    split_ranges
        For each split, the position of its first sample and one more than the position of its last.
    columns
        The columns that `store.sample_columns.content_columns` names, each (sample,).
    """
    ranges = {split: list(split_ranges[split]) for split in SPLITS}
    digest = hashlib.sha256(json.dumps([*shards, ranges]).encode())
    for column in columns:
        digest.update(np.ascontiguousarray(column).data)
    return digest.hexdigest()
