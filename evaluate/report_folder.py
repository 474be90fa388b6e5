"""Where results may be written: a report replaces only an older report, and no file replaces an input."""

import contextlib
import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from evaluate.document import METRICS_SCHEMA
from store.errors import ConfigError

METRICS = "metrics.json"


@contextlib.contextmanager
def replacing_folder(output: Path) -> Iterator[Path]:
    """Yield an empty folder beside `output`; once the block has filled it, rename it to `output`.

    An exception leaves `output` as it was.

    Raises
    ------
    ConfigError
        If `output` exists and is not a report, or holds files that do not belong to a report.
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


def check_output_file(output: Path, inputs: Sequence[Path], schema: str = "") -> None:
    """Refuse to write a file over an input, or over a file of another kind.

    Parameters
    ----------
    output
        The file to be written.
    inputs
        Files and folders that are read.
    schema
        Schema of the document to be written; an existing file must be a document of that schema, in any version. If
        empty, any existing file may be replaced.

    Raises
    ------
    ConfigError
        If `output` is a folder, is one of the inputs or lies in one, or is a file of another kind.
    """
    if output.is_dir():
        raise ConfigError(f"{output}: is a folder; choose another --output")
    resolved = output.resolve()
    for path in inputs:
        if path.resolve() in (resolved, *resolved.parents):
            raise ConfigError(f"{output}: would write over the input {path}; choose another --output")
    if schema and output.exists() and not _has_schema(_read_document(output), schema):
        raise ConfigError(f"{output}: exists and is not a {schema.partition('/')[0]} document; choose another --output")


def _read_document(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file; empty if the file holds none."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _has_schema(document: dict[str, Any], schema: str) -> bool:
    return str(document.get("schema")).partition("/")[0] == schema.partition("/")[0]


def files_in(folder: Path) -> list[str]:
    """Return the sorted paths of all files below a folder, relative to it."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())


def _check_replaceable(output: Path) -> None:
    if not output.exists():
        return
    if not output.is_dir():
        raise ConfigError(f"{output}: is a file, and a report is a folder; choose another --output")
    foreign = sorted(set(files_in(output)) - _files_of_report(output))
    if foreign:
        raise ConfigError(f"{output}: holds {foreign[0]}, which does not belong to a report; choose another --output")


def _files_of_report(output: Path) -> set[str]:
    """Return the files that the report in a folder lists as its own."""
    document = _read_document(output / METRICS)
    files = document.get("files")
    if not _has_schema(document, METRICS_SCHEMA) or not isinstance(files, list):
        return set()
    return {name for name in files if isinstance(name, str)}
