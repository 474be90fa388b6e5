"""Classes of whole files, as ``--label electron=electrons/*.h5`` tells them: for files that have no labels."""

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ingest.source_files import match_locations
from store.errors import ConfigError, SourceError
from store.locations import Location, Url, locate

SHOWN = 10  # classes named in one message


@dataclass(frozen=True, kw_only=True)
class FileLabel:
    """A class, and the files whose images are all of that class.

    Attributes
    ----------
    text
        What the user wrote.
    number
        Number of the class.
    location
        A file, a folder or a pattern; see `ingest.source_files`.
    """

    text: str
    number: int
    location: Location

    @classmethod
    def parse(cls, text: str, classes: Sequence[str]) -> "FileLabel":
        """Return the label that ``CLASS=FILES`` stands for.

        Raises
        ------
        ConfigError
            If the text has another form, `classes` lacks the class, or a URL is of an unknown kind.
        """
        name, equals, location = text.partition("=")
        if not (name and equals and location):
            raise ConfigError(
                f"label={text!r} is not of the form CLASS=FILES, such as {classes[0]}='{classes[0]}/*.h5'"
            )
        if name not in classes:
            known = ", ".join(classes[:SHOWN]) + (" ..." if len(classes) > SHOWN else "")
            raise ConfigError(f"label={text!r}: unknown class {name!r}; known: {known}")
        return cls(text=text, number=classes.index(name), location=locate(location))


def classes_of_files(files: Iterable[Location], labels: Sequence[FileLabel]) -> tuple[int, ...]:
    """Return the number of the class of each file.

    A label covers the files that its path matches, and all files in the folders that it matches.

    Raises
    ------
    SourceError
        If no label covers a file, labels of two classes do, or a label covers no file.
    """
    resolve = functools.cache(Path.resolve)
    covering: dict[Location, list[FileLabel]] = {}
    for label in labels:
        for match, is_folder in match_locations(label.location).items():
            place = match
            if isinstance(match, Path):
                place = resolve(match) if is_folder else resolve(match.parent) / match.name
            covering.setdefault(place, []).append(label)
    numbers: list[int] = []
    used: set[FileLabel] = set()
    for file in files:
        found = [label for place in _places(file, resolve) for label in covering.get(place, ())]
        if not found:
            raise SourceError(f"{file}: no --label covers this source; give one for each source, or none at all")
        other = next((label for label in found if label.number != found[0].number), None)
        if other:
            raise SourceError(f"{file}: --label {found[0].text} and --label {other.text} both cover this source")
        numbers.append(found[0].number)
        used.update(found)
    unused = next((label for label in labels if label not in used), None)
    if unused:
        raise SourceError(f"--label {unused.text}: covers none of the sources; write its path as that of a source")
    return tuple(numbers)


def _places(file: Location, resolve: Callable[[Path], Path]) -> Iterator[Location]:
    """Yield a file and the folders above it, without links in the path of any of them, though the file may be one."""
    if isinstance(file, Url):
        yield file
        while file.key:
            file = file.parent
            yield file
        return
    yield resolve(file.parent) / file.name
    folder = resolve(file.parent) if ".." in file.parts else file.parent.absolute()
    yield from map(resolve, (folder, *folder.parents))
