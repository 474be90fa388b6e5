"""Which files `ingest` reads: files, folders and patterns that the user names, in an order that can be repeated."""

import fnmatch
import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ingest import remote_files
from ingest.remote_files import ANY_FOLDERS
from store.console import say
from store.errors import SourceError
from store.locations import Location, Url, locate

SUFFIXES = (".h5", ".hdf5", ".hdf", ".parquet")  # of the files that are taken from folders


def find_files(given: Iterable[str | Location]) -> list[Location]:
    """Return the files that some paths and URLs stand for, and say in one line what is passed over: what is hidden.

    Parameters
    ----------
    given
        Files, folders and patterns, on this machine or at URLs. A folder stands for all files in it and in its
        subfolders that have one of `SUFFIXES` and are not hidden; a pattern stands for the files and folders that it
        matches.

    Returns
    -------
    list of pathlib.Path or Url
        The files in the order of `given`, and those of one folder or pattern sorted by path. A path without a pattern
        that does not exist is among them.

    Raises
    ------
    SourceError
        If a folder has no such file, or nothing matches a pattern.
    ConfigError
        If a URL is of an unknown kind.
    OSError
        If a folder cannot be read.
    """
    hidden: set[Location] = set()
    files = [file for location in map(locate, given) for file in _files_of(location, hidden)]
    if hidden:
        say(f"passed over {_describe_hidden(hidden)}")
    return files


def match_locations(location: Location) -> dict[Location, bool]:
    """Return the files and folders that a pattern matches, sorted, and whether each is a folder.

    A pattern has ``*``, ``?`` or ``[…]`` for parts of a name, and ``**`` for any number of folders; they never match a
    leading dot. A path or URL that exists is never a pattern, and what is no pattern matches itself.

    Raises
    ------
    SourceError
        If nothing matches the pattern, or a URL names neither an object nor a folder.
    OSError
        If a folder cannot be read.
    """
    is_pattern, matches = _is_pattern(location), dict[Location, bool]()
    if isinstance(location, Url):
        if is_pattern:
            matches.update(remote_files.match_urls(location))
        else:
            matches[location] = not remote_files.is_object(location, SUFFIXES)
    else:
        path = location
        parts = path.parts[1:] if path.anchor else path.parts
        found = sorted(set(_match(Path(path.anchor), parts))) if is_pattern else [path]
        matches |= {match: match.is_dir() for match in found}
    if not matches:
        raise SourceError(f"{location}: no file matches this pattern")
    return matches


def _is_pattern(location: Location) -> bool:
    if isinstance(location, Url):
        return remote_files.is_pattern(location)
    return glob.has_magic(str(location)) and not os.path.lexists(location)


def _files_of(location: Location, hidden: set[Location]) -> list[Location]:
    """Return the files that one path or URL stands for; add to `hidden` what is passed over."""
    files: set[Location] = set()
    passed_over: set[Location] = set()
    matches = match_locations(location)
    for match, is_folder in matches.items():
        files |= _files_in(match, passed_over) if is_folder else {match}
    if not files:
        what = "is a folder" if [*matches] == [location] else "matches only folders"
        but = f", except {_describe_hidden(passed_over)}" if passed_over else ""
        raise SourceError(f"{location}: {what} without source files ({', '.join(SUFFIXES)}){but}")
    hidden |= passed_over
    return sorted(files, key=_order)


def _order(location: Location) -> tuple[Any, ...]:
    return (True, location.root, location.key.split("/")) if isinstance(location, Url) else (False, location)


def _describe_hidden(locations: set[Location]) -> str:
    first = min(locations, key=_order)
    if len(locations) == 1:
        return f"1 hidden file or folder, {first}"
    return f"{len(locations):,} hidden files and folders, such as {first}"


def _files_in(folder: Location, hidden: set[Location]) -> set[Location]:
    """Return the source files in a folder and its subfolders; add to `hidden` those that are hidden, and folders."""
    if isinstance(folder, Url):
        return _urls_in(folder, hidden)
    files = set[Location]()
    for inner in _folders_in(folder):
        for entry in _entries(inner):
            is_folder = _is_folder(entry)
            if not is_folder and not _has_suffix(entry.name):
                continue
            if _is_hidden(entry.name):
                hidden.add(inner / entry.name)
            elif not is_folder:
                files.add(inner / entry.name)
    return files


def _urls_in(folder: Url, hidden: set[Location]) -> set[Location]:
    files = set[Location]()
    for path in remote_files.list_below(folder):
        names = path.split("/")
        first = next((count for count, name in enumerate(names, 1) if _is_hidden(name)), None)
        if first is not None and (first < len(names) or _has_suffix(names[-1])):
            hidden.add(folder / "/".join(names[:first]))
        elif first is None and _has_suffix(names[-1]):
            files.add(folder / path)
    return files


def _folders_in(folder: Path) -> Iterator[Path]:
    """Yield a folder and all folders in it that are not hidden; links are followed, but no folder is visited twice."""
    waiting, visited = [folder], set()
    while waiting:
        folder = waiting.pop()
        status = folder.stat()
        if (status.st_dev, status.st_ino) in visited:
            continue
        visited.add((status.st_dev, status.st_ino))
        yield folder
        waiting += [folder / e.name for e in reversed(_entries(folder)) if _is_folder(e) and not _is_hidden(e.name)]


def _match(folder: Path, parts: tuple[str, ...]) -> Iterator[Path]:
    """Yield what a pattern, given by its parts, matches in a folder."""
    if not parts or set(parts) == {ANY_FOLDERS}:
        yield folder
        return
    part, rest = parts[0], parts[1:]
    if part == ANY_FOLDERS:
        repeated = rest[0] == ANY_FOLDERS
        for inner in _folders_in(folder) if folder.is_dir() and not repeated else (folder,):
            yield from _match(inner, rest)
    elif glob.has_magic(part):
        for entry in _entries(folder) if folder.is_dir() else ():
            if fnmatch.fnmatchcase(entry.name, part) and (_is_hidden(part) or not _is_hidden(entry.name)):
                yield from _match(folder / entry.name, rest)
    elif os.path.lexists(folder / part):
        yield from _match(folder / part, rest)


def _entries(folder: Path) -> list["os.DirEntry[str]"]:
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: entry.name)


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    """Return whether an entry is a folder or a link to one; a link that leads nowhere is not."""
    return entry.is_dir(follow_symlinks=False) or (entry.is_symlink() and os.path.isdir(entry.path))  # noqa: PTH112


def _has_suffix(name: str) -> bool:
    return Path(name).suffix.lower() in SUFFIXES


def _is_hidden(name: str) -> bool:
    return name.startswith(".")
