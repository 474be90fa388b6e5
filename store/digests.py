"""Digests of every file of a store, in the format of ``sha256sum``, beside the shards.

``cd STORE && sha256sum -c image/SHA256SUMS`` checks a store without this project. (Inside the folder of an array no
Zarr reader looks for unknown names.)
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from store.errors import CorruptStoreError
from store.files import write_whole

NAME = "image/SHA256SUMS"


def write_digests(root: Path, known: Mapping[str, str] | None = None) -> None:
    """Record the sha256 of every file of a store.

    Parameters
    ----------
    root
        The store.
    known
        Digests by path inside the store that need not be computed again.
    """
    known = known or {}
    names = sorted(file.relative_to(root).as_posix() for file in root.rglob("*") if file.is_file())
    lines = [f"{known.get(name) or sha256(root / name)}  {name}\n" for name in names if name != NAME]
    write_whole(root / NAME, "".join(lines).encode())


def read_digests(root: Path) -> dict[str, str]:
    """Return the recorded digests by path inside the store.

    Raises
    ------
    CorruptStoreError
        If there is no record, or a line of it is not one.
    """
    try:
        lines = (root / NAME).read_text().splitlines()
    except (FileNotFoundError, UnicodeDecodeError) as error:
        raise CorruptStoreError(f"{root / NAME}: no readable record of digests ({error})") from None
    digests = {}
    for number, line in enumerate(lines, 1):
        digest, separator, name = line.partition("  ")
        if len(digest) != 64 or not separator or not name:
            raise CorruptStoreError(f"{root / NAME}: line {number} is not a digest and a name")
        digests[name] = digest
    return digests


def sha256(path: Path) -> str:
    """Return the sha256 of a file's bytes, as hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
