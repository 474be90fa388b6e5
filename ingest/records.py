"""Records of finished work: JSON files with a digest, each of which counts only under its own name and for its ingest.

A record that is missing, damaged, renamed or of another ingest is no record: the work that it stands for is done again.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from store.files import is_regular, write_whole

LARGEST = 1 << 25  # bytes; more than the record of 100,000 sources has


def write_record(path: Path, content: dict[str, Any], ingest: str = "") -> None:
    """Write a record, which is on the disk when this returns.

    Parameters
    ----------
    path
        File of the record.
    content
        What it says, as JSON types.
    ingest
        Identifies the ingest that the record is for.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    write_whole(path, json.dumps({"sha256": _digest(path, content, ingest), "record": content}).encode())


def read_record(path: Path, ingest: str = "") -> dict[str, Any] | None:
    """Return what a record says, or None if there is no such record of this ingest, or only a damaged one.

    Parameters
    ----------
    path
        File of the record.
    ingest
        Identifies the ingest, as it was given to `write_record`.
    """
    try:
        if not is_regular(path) or path.stat().st_size > LARGEST:
            return None
        document = json.loads(path.read_bytes())
        content = document["record"]
        whole = isinstance(content, dict) and document["sha256"] == _digest(path, content, ingest)
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None
    return content if whole else None


def _digest(path: Path, content: Any, ingest: str) -> str:
    return hashlib.sha256(json.dumps([ingest, path.name, content]).encode()).hexdigest()
