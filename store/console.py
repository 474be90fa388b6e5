"""What all programs share: exit statuses, errors on one line, ``-h`` and ``--version``, lines and progress bars."""

import io
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
import typer.main
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from store.errors import CalostreamError
from store.errors import printable as printable

T = TypeVar("T")
INTERRUPTED = 130  # the status with which typer exits, silently, after a keyboard interrupt
HELP = ("-h", "--help")


class Output(io.TextIOWrapper):
    """Standard output whose errors say that they are its own, and which escapes what its encoding lacks."""

    @classmethod
    def over(cls, stream: "io.TextIOWrapper[Any]") -> "Output":
        """Return the output that takes the place of another stream."""
        return cls(
            stream.buffer,
            encoding=stream.encoding,
            errors="backslashreplace",
            line_buffering=stream.line_buffering,
        )

    def write(self, text: str) -> int:
        """Write a text."""
        with _naming("standard output"):
            return super().write(text)

    def flush(self) -> None:
        """Write what is buffered."""
        with _naming("standard output"):
            super().flush()


@contextmanager
def _naming(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, name) from error


class Screen(Console):
    """A console that escapes control characters in everything it prints: names and texts come from files."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """Yield the parts of a renderable, with control characters escaped."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(printable(segment.text), segment.style)


console = Screen(stderr=True, highlight=False)


def _expand_home(word: str) -> str:
    """Replace ``~`` by the home folder where the shell has not, as in ``--output=~/x`` or in a list of arguments."""
    name, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
    return f"{name}{equals}{Path(value).expanduser()}" if value == "~" or value.startswith("~/") else word


def run(app: typer.Typer, default: str | None = None, argv: Sequence[str] | None = None) -> None:
    r"""Run a program and exit: 0 on success, 2 for wrong usage, 1 and one line on standard error for any other failure.

    Characters that the terminal or file cannot show are escaped, as in ``\xb1``.

    Parameters
    ----------
    app
        The typer application; it gets the options ``-h`` and ``--version``.
    default
        The command to run if the first word is not the name of a command: ``ingest a.hdf5`` runs
        ``ingest convert a.hdf5``.
    argv
        Words of the command line, by default those of this process. ``--debug`` anywhere shows tracebacks.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words
    words = [_expand_home(word) for word in words if word != "--debug"]
    names = {command.name for command in app.registered_commands} | {*HELP, "--version"}
    if default is not None and (not words or words[0] not in names):
        words.insert(0, default)
    command = typer.main.get_command(app)
    command.context_settings["help_option_names"] = list(HELP)
    command.params += typer.main.get_command(_version_app).params
    if sys.stdout is sys.__stdout__ and isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout = Output.over(sys.stdout)
    status: int | str | None = 0
    try:
        command(words)
    except Exception as error:
        if debug:
            raise
        status = 1
        fail(one_line(error))
    except SystemExit as end:
        status = end.code
        if status == INTERRUPTED:
            status = 1
            console.print("interrupted", style="red")
    try:
        sys.stdout.flush()
    except OSError as error:
        status = 1
        fail(one_line(error))
    sys.exit(status)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"calostream {version('calostream')}")
        raise typer.Exit


_version_app = typer.Typer(add_completion=False)


@_version_app.command()
def _version_option(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_show_version,
            is_eager=True,
            expose_value=False,
            help="Show the version of calostream and exit.",
        ),
    ] = False,
) -> None:
    """Define the option ``--version``, which `run` adds to every program."""


def one_line(error: BaseException) -> str:
    """Return the message of an error on one line; it starts with the file or type if the error is not the project's."""
    if isinstance(error, OSError) and error.filename and error.strerror:
        text = f"{error.filename}: {error.strerror}"
    else:
        text = str(error) if isinstance(error, CalostreamError) else f"{type(error).__name__}: {error}"
    return printable(" ".join(text.split()))


def fail(text: str) -> None:
    """Print an error on standard error, in red."""
    console.print(f"error: {printable(text)}", style="red", markup=False, soft_wrap=True)


def say(text: str) -> None:
    """Print a line on standard error, without markup and without wrapping."""
    console.print(printable(text), markup=False, soft_wrap=True)


def track(items: Iterable[T], description: str, total: int | None = None) -> Iterable[T]:
    """Yield the items and show a progress bar on standard error."""
    from rich.progress import track

    return track(items, description=description, total=total, console=console)
