"""What a store records of its sources, and whether they are still the files that were recorded.

A source is more than one file if HDF5 takes a part of its values from others: virtual datasets, links, external
storage.
"""

import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ingest.executors import Executor
from store.errors import SourceError, printable
from store.files import sha256
from store.locations import Location, Url
from store.sources import Source
from store.sources.copies import here

SHOWN = 5  # sources named in one message
BATCH_BYTES = 32 << 20  # sources whose digests are computed in one call
Stamp = tuple[int, int, int]
"""Time of the last change in nanoseconds, size in bytes, and inode: a file with the same stamp has the same content."""


def location_of(source: Source) -> Location:
    """Return where a source is: its URL, or its path on this machine."""
    return source.url or source.path


def files_of(source: Source) -> tuple[Path, ...]:
    """Return all files that a source takes values from, its own first."""
    return source.path, *source.other_files


def check_distinct(sources: Sequence[Source]) -> None:
    """Raise SourceError if one source takes its values from another, so that images would be in the store twice."""
    given = {source.path.resolve() for source in sources}
    for source in sources:
        for part in source.other_files:
            if part.resolve() in given:
                raise SourceError(
                    f"{source.path}: takes values from {part}, which is given as a source too; give only one of them"
                )


def stamp_files(sources: Sequence[Source]) -> dict[Path, Stamp]:
    """Return the stamp of every file of some sources."""
    return {file: _stamp(file) for source in sources for file in files_of(source)}


def _stamp(path: Path) -> Stamp:
    status = path.stat()
    return status.st_mtime_ns, status.st_size, status.st_ino


def digest_files(sources: Sequence[Source], executor: Executor) -> dict[Path, str]:
    """Return the sha256 of every file of some sources."""
    files: dict[Path, Path | Source] = {file: file for source in sources for file in source.other_files}
    files |= {source.path: source for source in sources}
    digests = executor.run(_digest_batch, [(batch,) for batch in _batches(files)], "sha256 of sources")
    return dict(zip(files, itertools.chain.from_iterable(digests), strict=True))


def _digest_batch(files: Sequence[Path | Source]) -> list[str]:
    return [sha256(file if isinstance(file, Path) else here(file).path) for file in files]


def _batches(files: Mapping[Path, Path | Source]) -> Iterator[list[Path | Source]]:
    """Yield files in batches: a large one alone, or small ones together, because a call has a cost of its own."""
    batch, size = list[Path | Source](), 0
    for path, file in files.items():
        batch.append(file)
        size += path.stat().st_size
        if size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def identify(
    sources: Sequence[Source], digests: Mapping[Path, str], classes: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Return what a store records of each source.

    Parameters
    ----------
    sources
        The sources.
    digests
        The sha256 of each of their files.
    classes
        Name of the class of all images of each source; empty if the sources have labels.

    Returns
    -------
    list of dict
        ``name``, ``size`` in bytes, ``sha256``, ``rows``; if the source takes values from other files, ``parts``:
        ``name``, ``size`` and ``sha256`` of each of these; and, if `classes` are given, ``class``.

    Raises
    ------
    SourceError
        If two sources have the same content.
    """
    first: dict[tuple[str, ...], Source] = {}
    identities = []
    names = source_names([location_of(source) for source in sources])
    for source, name, class_name in zip(sources, names, classes or [""] * len(names), strict=True):
        same = first.setdefault(tuple(digests[file] for file in files_of(source)), source)
        if same is not source:
            raise SourceError(f"{location_of(source)}: has the same content as {location_of(same)}")
        folder = source.path.parent
        parts = [_identify_file(part, os.path.relpath(part, folder), digests) for part in source.other_files]
        identity = {**_identify_file(source.path, name, digests), "rows": source.rows}
        optional: dict[str, Any] = {"parts": parts, "class": class_name}
        identities.append({**identity, **{key: value for key, value in optional.items() if value}})
    return identities


def _identify_file(path: Path, name: str, digests: Mapping[Path, str]) -> dict[str, Any]:
    return {"name": printable(name), "size": path.stat().st_size, "sha256": digests[path]}


def source_names(locations: Sequence[Location]) -> list[str]:
    """Return names that tell files apart: those of the files, or paths relative to the folder that has all of them.

    Names of files at URLs begin with the scheme and the host or bucket if they are on several.
    """
    names = [location.name for location in locations]
    if len(set(names)) == len(names):
        return names
    plain = [Path(os.path.normpath(_as_path(location))) for location in locations]  # without ".."
    folder = os.path.commonpath([path.parent for path in plain])
    return [path.relative_to(folder).as_posix() for path in plain]


def _as_path(location: Location) -> str:
    """Return a path, or what is like one for a URL; no two URLs have the same."""
    if isinstance(location, Url):
        return f"/{location.root.replace('://', '/')}/{location.key.lstrip('/')}"
    return str(location)


def check_unchanged(stamps: Mapping[Path, Stamp], digests: Mapping[Path, str]) -> None:
    """Raise SourceError if a file is gone, or its content is no longer the one that was digested."""
    for file, stamp in stamps.items():
        try:
            changed = _stamp(file) != stamp and sha256(file) != digests[file]
        except FileNotFoundError:
            raise SourceError(f"{file}: was removed while it was read") from None
        if changed:
            raise SourceError(f"{file}: was changed while it was read")


def find_sources(
    identities: Sequence[Mapping[str, Any]], sources: Sequence[Source], digests: Mapping[Path, str]
) -> list[int]:
    """Return which of a store's sources each of some sources is.

    Parameters
    ----------
    identities
        What the store records; see `identify`.
    sources
        The sources.
    digests
        The sha256 of each of their files.

    Raises
    ------
    SourceError
        If one is none of them, or takes values from other files than when the store was made.
    """
    recorded: dict[str, dict[int, Mapping[str, Any]]] = {}
    for number, identity in enumerate(identities):
        recorded.setdefault(identity["sha256"], {})[number] = identity
    numbers = []
    for source in sources:
        candidates = recorded.get(digests[source.path])
        if candidates is None:
            names = ", ".join(identity["name"] for identity in identities[:SHOWN])
            more = f" and {len(identities) - SHOWN:,} more" if len(identities) > SHOWN else ""
            raise SourceError(
                f"{location_of(source)}: sha256 {digests[source.path]} matches none of the store's sources "
                f"({names}{more})"
            )
        numbers.append(_find_by_parts(candidates, source, digests))
    return numbers


def _find_by_parts(candidates: Mapping[int, Mapping[str, Any]], source: Source, digests: Mapping[Path, str]) -> int:
    """Return which of some sources with the same content takes values from the same other files."""
    parts = sorted(digests[file] for file in source.other_files)
    for number, identity in candidates.items():
        if "parts" not in identity or parts == sorted(part["sha256"] for part in identity["parts"]):
            return number  # without parts, it was made before parts were recorded
    first = [part["sha256"] for part in next(iter(candidates.values()))["parts"]]
    changed = next((file for file in source.other_files if digests[file] not in first), None)
    if changed is None:
        raise SourceError(f"{source.path}: takes values from {len(parts)} other files, {len(first)} are recorded")
    raise SourceError(
        f"{changed}: sha256 {digests[changed]} matches none of the {len(first)} files from which "
        f"{source.path} took values when the store was made"
    )
