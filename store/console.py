"""What the four programs share: exit statuses, one-line errors and progress bars."""

import sys
from collections.abc import Iterable, Sequence
from typing import TypeVar

import rich.progress
import typer
from rich.console import Console

from store.errors import CalostreamError

T = TypeVar("T")
INTERRUPTED = 130  # what typer makes of a keyboard interrupt, without a word

console = Console(stderr=True, highlight=False)


def run(app: typer.Typer, default: str | None = None, argv: Sequence[str] | None = None) -> None:
    """Run a program and exit: 0 on success, 2 for wrong usage, 1 and one line on standard error for anything else.

    Parameters
    ----------
    app
        The typer application.
    default
        Command that is meant when the first word names none: ``ingest a.hdf5`` is ``ingest convert a.hdf5``.
    argv
        Words of the command line, by default the process's own. ``--debug`` anywhere shows tracebacks.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    names = {command.name for command in app.registered_commands} | {"--help"}
    if default is not None and (not words or words[0] not in names):
        words.insert(0, default)
    app.pretty_exceptions_enable = False
    try:
        app(words, standalone_mode=True)
    except Exception as error:
        if debug:
            raise
        console.print(f"error: {one_line(error)}", style="red", markup=False, soft_wrap=True)
        sys.exit(1)
    except SystemExit as end:
        if end.code != INTERRUPTED:
            raise
        console.print("interrupted", style="red")
        sys.exit(1)


def one_line(error: BaseException) -> str:
    """Return the message of an error on one line, led by its file or type unless the error is the project's own."""
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    text = " ".join(str(error).split())
    return text if isinstance(error, CalostreamError) else f"{type(error).__name__}: {text}"


def say(text: str) -> None:
    """Print a line on standard error as it is, without markup and without wrapping."""
    console.print(text, markup=False, soft_wrap=True)


def track(items: Iterable[T], description: str, total: int | None = None) -> Iterable[T]:
    """Yield the items under a progress bar on standard error."""
    return rich.progress.track(items, description=description, total=total, console=console)
