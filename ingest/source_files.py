"""Which files `ingest` reads: files, folders and patterns that the user names, in an order that can be repeated."""

import fnmatch
import glob
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from store.console import say
from store.errors import SourceError

SUFFIXES = (".h5", ".hdf5", ".hdf", ".parquet")  # of the files that are taken from folders
ANY_FOLDERS = "**"  # in a pattern: any number of folders, or none


def find_files(given: Iterable[Path]) -> list[Path]:
    """Return the files that some paths stand for, and say in one line what is passed over because it is hidden.

    Parameters
    ----------
    given
        Files, folders and patterns. A folder stands for all files in it and in its subfolders that have one of
        `SUFFIXES` and are not hidden; a pattern stands for the files and folders that it matches.

    Returns
    -------
    list of pathlib.Path
        The files in the order of `given`, and those of one folder or pattern sorted by path. A path without a pattern
        that does not exist is among them.

    Raises
    ------
    SourceError
        If a folder has no such file, or nothing matches a pattern.
    OSError
        If a folder cannot be read.
    """
    hidden: set[Path] = set()
    files = [file for path in given for file in _files_of(path, hidden)]
    if hidden:
        say(f"passed over {_describe_hidden(hidden)}")
    return files


def match_paths(path: Path) -> list[Path]:
    """Return the files and folders that a pattern matches, sorted, or a path without a pattern as it is.

    A pattern has ``*``, ``?`` or ``[…]`` for parts of a name, and ``**`` for any number of folders; they never match a
    leading dot. A path that exists is never a pattern. ``~`` is the home folder.

    Raises
    ------
    SourceError
        If nothing matches the pattern.
    OSError
        If a folder cannot be read.
    """
    if str(path).startswith("~"):
        path = Path(os.path.expanduser(path))  # noqa: PTH111  leaves a user that does not exist as it is
    if not _is_pattern(path):
        return [path]
    matches = sorted(set(_match(Path(path.anchor), path.parts[1:] if path.anchor else path.parts)))
    if not matches:
        raise SourceError(f"{path}: no file matches this pattern")
    return matches


def _is_pattern(path: Path) -> bool:
    return glob.has_magic(str(path)) and not os.path.lexists(path)


def _files_of(path: Path, hidden: set[Path]) -> list[Path]:
    """Return the files that one path stands for; add to `hidden` what is passed over."""
    files: set[Path] = set()
    passed_over: set[Path] = set()
    for match in match_paths(path):
        files |= _files_in(match, passed_over) if match.is_dir() else {match}
    if not files:
        what = "matches only folders" if _is_pattern(path) else "is a folder"
        but = f", except {_describe_hidden(passed_over)}" if passed_over else ""
        raise SourceError(f"{path}: {what} without source files ({', '.join(SUFFIXES)}){but}")
    hidden |= passed_over
    return sorted(files)


def _describe_hidden(paths: set[Path]) -> str:
    if len(paths) == 1:
        return f"1 hidden file or folder, {min(paths)}"
    return f"{len(paths):,} hidden files and folders, such as {min(paths)}"


def _files_in(folder: Path, hidden: set[Path]) -> set[Path]:
    """Return the source files in a folder and its subfolders; add to `hidden` those that are hidden, and folders."""
    files = set()
    for inner in _folders_in(folder):
        for entry in _entries(inner):
            is_folder = _is_folder(entry)
            if not is_folder and Path(entry.name).suffix.lower() not in SUFFIXES:
                continue
            if _is_hidden(entry.name):
                hidden.add(inner / entry.name)
            elif not is_folder:
                files.add(inner / entry.name)
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


def _is_hidden(name: str) -> bool:
    return name.startswith(".")
