"""Records of finished work: JSON files with a digest, each of which counts only under its own name and for its ingest.

A record that is missing, damaged, renamed or of another ingest is no record: the work that it stands for is done again.
"""

import hashlib
import json
from typing import Any

from ingest.places import open_place
from store.errors import RemoteError
from store.locations import Location

LARGEST = 1 << 25  # bytes; more than the record of 100,000 sources has


def write_record(path: Location, content: dict[str, Any], ingest: str = "") -> None:
    """Write a record, which is on the disk, or at its URL, when this returns.

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
    packed = json.dumps({"sha256": _digest(path.name, content, ingest), "record": content}).encode()
    open_place(path.parent).write(path.name, packed)


def read_record(path: Location, ingest: str = "") -> dict[str, Any] | None:
    """Return what a record says, or None if there is no such record of this ingest, or only a damaged one.

    Parameters
    ----------
    path
        File of the record.
    ingest
        Identifies the ingest, as it was given to `write_record`.

    Raises
    ------
    RemoteError
        If a server does not answer, or refuses.
    """
    place = open_place(path.parent)
    try:
        info = place.info(path.name)
        if info is None or info.size > LARGEST:
            return None
        document = json.loads(place.read(path.name))
        content = document["record"]
        whole = isinstance(content, dict) and document["sha256"] == _digest(path.name, content, ingest)
    except RemoteError:
        raise
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None
    return content if whole else None


def _digest(name: str, content: Any, ingest: str) -> str:
    return hashlib.sha256(json.dumps([ingest, name, content]).encode()).hexdigest()
