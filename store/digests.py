"""The sha256 of every file of a store, in a file in the format of ``sha256sum`` beside the shards.

``cd STORE && sha256sum -c image/SHA256SUMS`` checks a store without this project. The file is in the folder of an array
because Zarr readers ignore unknown files there.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from store.errors import CorruptStoreError
from store.files import write_whole

DIGESTS_FILE = "image/SHA256SUMS"


def write_digests(root: Path, known: Mapping[str, str] | None = None) -> None:
    """Record the sha256 of every file of a store.

    Parameters
    ----------
    root
        The store.
    known
        Digests that need not be computed again, by path relative to the store.
    """
    known = known or {}
    names = sorted(file.relative_to(root).as_posix() for file in root.rglob("*") if file.is_file())
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
        lines = (root / DIGESTS_FILE).read_text().splitlines()
    except (FileNotFoundError, UnicodeDecodeError) as error:
        raise CorruptStoreError(f"{root / DIGESTS_FILE}: no readable record of digests ({error})") from None
    digests = {}
    for number, line in enumerate(lines, 1):
        digest, separator, name = line.partition("  ")
        if len(digest) != 64 or not separator or not name:
            raise CorruptStoreError(f"{root / DIGESTS_FILE}: line {number} is not a digest and a name")
        digests[name] = digest
    return digests


def sha256(path: Path) -> str:
    """Return the sha256 of the content of a file, as hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
