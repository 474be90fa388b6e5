"""Writing results whole or not at all, and never over what is not a result of the same kind."""

import contextlib
import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

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


def check_output(output: Path, read: Sequence[Path], schema: str = "") -> None:
    """Refuse to write a file over what is read, or over something else than a document of a schema, if one is given.

    Raises
    ------
    ConfigError
        If `output` is a folder, is or lies in one of the paths that are read, or holds something else.
    """
    if output.is_dir():
        raise ConfigError(f"{output}: is a folder; choose another --output")
    place = output.resolve()
    for path in read:
        if path.resolve() in (place, *place.parents):
            raise ConfigError(f"{output}: would write over {path}, which is read; choose another --output")
    if schema and output.exists() and not _has_schema(_read_document(output), schema):
        raise ConfigError(f"{output}: is there already and is no {schema.partition('/')[0]}; choose another --output")


def _read_document(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file, empty if it holds none."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def _has_schema(document: dict[str, Any], schema: str) -> bool:
    return str(document.get("schema")).partition("/")[0] == schema.partition("/")[0]


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
    document = _read_document(output / METRICS)
    files = document.get("files")
    return set(files) if _has_schema(document, SCHEMA) and isinstance(files, list) else set()
