"""What a path holds that holds no store, and what to do about it."""

from pathlib import Path
from typing import TypeVar

from store.locations import Location, Url

P = TypeVar("P", Path, Url)

SIGNATURES = {b"\x89HDF\r\n\x1a\n": "an HDF5 file", b"PAR1": "a Parquet file"}  # the first bytes of source files
SUFFIX = ".ingest"


def staging_path(output: P) -> P:
    """Return the hidden folder beside a store in which `ingest` makes it, or the prefix of its temporary objects."""
    return output.with_name(f".{output.name}{SUFFIX}")


def describe_absence(path: Path) -> str:
    """Return what is at a path instead of a store, and how to make one, as the end of an error message."""
    if path.is_file():
        return _describe_file(path)
    if path.name and staging_path(path).is_dir():
        return "no store yet: its ingest is running, or was interrupted and resumes when the same command runs again"
    if any(folder.name.startswith(".") and folder.name.endswith(SUFFIX) for folder in (path, path.parent)):
        return "is the temporary folder of an unfinished ingest, which resumes when the same command runs again"
    if path.is_dir():
        return "is a folder without a store; a store is a folder with a file zarr.json, such as `ingest` makes"
    return f"no store here; `ingest --output {path}` makes one"


def _describe_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            start = file.read(8)
    except OSError:
        start = b""
    return describe_content(path, start)


def describe_content(location: Location, start: bytes) -> str:
    """Return what a file is, by its first bytes, that is in place of a store."""
    for signature, kind in SIGNATURES.items():
        if start.startswith(signature):
            return f"is {kind}, not a store; `ingest {location} --output NEW.zarr` makes a store of it"
    return "is a file, and a store is a folder; `ingest` makes one from HDF5 or Parquet files"


def computing_statistics(path: Location) -> str:
    """Return how a store gets statistics, or new ones, as the end of an error message."""
    if isinstance(path, Path):
        return f"`ingest statistics {path}` computes them"
    return "copy the store to a folder, run `ingest statistics FOLDER` there, and copy it back"
