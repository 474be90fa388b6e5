"""Writing a report's folder whole or not at all, and never over files that are not a report's."""

import contextlib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

from evaluate.summary import SCHEMA
from store.errors import ConfigError

METRICS = "metrics.json"


@contextlib.contextmanager
def replacing(output: Path) -> Iterator[Path]:
    """Give an empty folder beside `output` to write into, which takes its place if nothing is raised.

    Raises
    ------
    ConfigError
        If `output` is there already and is not a report, or holds files that no report put there.
    """
    output = output.resolve()
    _check_replaceable(output)
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}.") as scratch:
        new, old = Path(scratch, "new"), Path(scratch, "old")
        new.mkdir()
        yield new
        if not output.exists():
            new.rename(output)
            return
        output.rename(old)
        try:
            new.rename(output)
        except OSError:
            old.rename(output)
            raise


def files_in(folder: Path) -> list[str]:
    """Return the paths of all files below a folder, relative to it, in order."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())


def _check_replaceable(output: Path) -> None:
    if not output.exists():
        return
    if not output.is_dir():
        raise ConfigError(f"{output}: is a file, and a report is a folder; choose another --output")
    found = files_in(output)
    strange = sorted(set(found) - _written(output))
    if strange:
        raise ConfigError(f"{output}: holds {strange[0]}, which no report put there; choose another --output")


def _written(output: Path) -> set[str]:
    """Return the files that the report in a folder says it consists of."""
    try:
        document = json.loads((output / METRICS).read_text(encoding="utf-8"))
        if document["schema"].partition("/")[0] == SCHEMA.partition("/")[0]:
            return set(document["files"])
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        pass
    return set()
