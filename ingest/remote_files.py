"""Which source files URLs stand for: objects, folders and patterns, found as those of this machine are."""

import fnmatch
import glob
from collections.abc import Iterator
from itertools import accumulate

from store.errors import SourceError
from store.locations import Url
from store.remote.objects import open_objects

ANY_FOLDERS = "**"  # in a pattern: any number of folders, or none


def is_pattern(url: Url) -> bool:
    """Return whether a URL is a pattern: one that has an object of this very name is none."""
    return glob.has_magic(url.key) and open_objects(url).info() is None


def match_urls(url: Url) -> Iterator[tuple[Url, bool]]:
    """Yield the objects and folders that a pattern matches, and whether each is a folder.

    Raises
    ------
    RemoteError
        If they cannot be listed, as over HTTP.
    """
    base, parts = _split(url)
    found = {base: True}
    while parts and parts[0] != ANY_FOLDERS:
        part, parts = parts[0], parts[1:]
        found = {
            folder / name: is_folder
            for folder, is_searched in found.items()
            if is_searched
            for name, is_folder in open_objects(folder).entries().items()
            if _fits(name, part)
        }
    if not parts:
        yield from found.items()
        return
    for folder in (folder for folder, is_searched in found.items() if is_searched):
        for path, is_folder in _everything_below(folder).items():
            if _matches(path.split("/"), parts):
                yield folder / path, is_folder


def list_below(folder: Url) -> list[str]:
    """Return the paths of all objects below a folder, sorted; there are none if there is no such folder.

    Raises
    ------
    RemoteError
        If they cannot be listed, as over HTTP.
    """
    return [*open_objects(folder).list()]


def is_object(url: Url, suffixes: tuple[str, ...]) -> bool:
    """Return whether a URL names an object and no folder, without a request if its suffix or scheme tells."""
    if url.scheme in ("http", "https") or url.suffix.lower() in suffixes:
        return True
    if open_objects(url).info() is not None:
        return True
    if not open_objects(url).entries():
        raise SourceError(f"{url}: no such object or folder")
    return False


def _split(url: Url) -> tuple[Url, list[str]]:
    """Return the folder above the first part of a pattern that is one, and the parts below it.

    ``**`` at the end adds nothing to a folder, and several in a row are as one.
    """
    base, parts = url, list[str]()
    while glob.has_magic(base.key):
        if base.name != ANY_FOLDERS or (parts and parts[0] != ANY_FOLDERS):
            parts.insert(0, base.name)
        base = base.parent
    return base, parts


def _everything_below(folder: Url) -> dict[str, bool]:
    """Return the paths of all objects and folders below a folder, and whether each is a folder."""
    files = list_below(folder)
    folders = {parent for path in files for parent in accumulate(path.split("/")[:-1], "{}/{}".format)}
    return {**dict.fromkeys(files, False), **dict.fromkeys(folders, True)}


def _matches(names: list[str], parts: list[str]) -> bool:
    """Return whether the parts of a path match those of a pattern."""
    if not parts:
        return not names
    if parts[0] != ANY_FOLDERS:
        return bool(names) and _fits(names[0], parts[0]) and _matches(names[1:], parts[1:])
    return any(_matches(names[count:], parts[1:]) for count in _visible(names))


def _visible(names: list[str]) -> Iterator[int]:
    """Yield how many of the first names ``**`` may stand for: it never stands for a hidden folder."""
    yield 0
    for count, name in enumerate(names, 1):
        if name.startswith("."):
            return
        yield count


def _fits(name: str, part: str) -> bool:
    return fnmatch.fnmatchcase(name, part) and (part.startswith(".") or not name.startswith("."))
