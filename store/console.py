"""What all programs share: exit statuses, errors on one line, the options of every program, lines and progress bars."""

import errno
import io
import os
import resource
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
import typer.main
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from typer.exceptions import TyperException

from store.errors import CalostreamError
from store.errors import printable as printable
from store.interruption import Interruption

T = TypeVar("T")
INTERRUPTED = 130  # what typer returns after a keyboard interrupt
OPEN_FILES = 10240  # the most that macOS allows; no program needs more
HELP = ("-h", "--help")
FILE_WIDTH = 500  # columns of what is not a terminal
QUIET = {"-q", "--quiet"}
COMPLETION = ("--install-completion", "--show-completion")


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
    if not value.startswith("~"):
        return word
    try:
        return f"{name}{equals}{Path(value).expanduser()}"
    except RuntimeError:  # no user has that name
        return word


def run(app: typer.Typer, default: str | None = None, argv: Sequence[str] | None = None) -> None:
    r"""Run a program and exit: 0 on success, 2 for wrong usage, 1 and one line on standard error for any other failure.

    After SIGTERM or SIGHUP the status is 128 plus the number of the signal; the program cleans up as after Ctrl-C.

    Characters that the terminal or file cannot show are escaped, as in ``\xb1``.

    Parameters
    ----------
    app
        The typer application; all of its commands get the options ``-h``, ``--version`` and ``--quiet``.
    default
        The command to run if the first word is not the name of a command: ``ingest a.hdf5`` runs
        ``ingest convert a.hdf5``.
    argv
        Words of the command line, by default those of this process. Anywhere in it, ``--quiet`` leaves only results
        and errors on the terminal, and ``--debug`` shows tracebacks.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words
    quiet = not QUIET.isdisjoint(words)
    words = [_expand_home(word) for word in words if word not in {"--debug", *QUIET}]
    names = {command.name for command in app.registered_commands} | {*HELP, "--version", *COMPLETION}
    if default is not None and (not words or words[0] not in names):
        words.insert(0, default)
    # Where the caller has closed them; otherwise the next file that is opened would take their place.
    sys.stdout = sys.stdout or Path(os.devnull).open("w")  # noqa: SIM115
    sys.stderr = sys.stderr or Path(os.devnull).open("w")  # noqa: SIM115
    if sys.stdout is sys.__stdout__ and isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout = Output.over(sys.stdout)
    with _quiet(quiet), Interruption() as interruption:
        try:
            _allow_open_files()
            command = typer.main.get_command(app)
            command.context_settings["help_option_names"] = list(HELP)
            for part in (command, *getattr(command, "commands", {}).values()):
                part.params += typer.main.get_command(_common_app).params
            status = command(words, standalone_mode=False) or 0
            if status == INTERRUPTED:
                raise KeyboardInterrupt
            sys.stdout.flush()
        except TyperException as error:
            status = error.exit_code
            fail(_usage_error(error, words))
        except (Exception, KeyboardInterrupt) as error:
            if debug:
                raise
            status = 1
            # A library may raise an error of its own when it is interrupted.
            if interruption.number is not None or isinstance(error, KeyboardInterrupt):
                status = interruption.status
                say(interruption.text, style="red")
            elif not isinstance(error, BrokenPipeError):  # nobody reads the output any more
                fail(one_line(error))
    _drop_output()
    sys.exit(status)


@contextmanager
def _quiet(quiet: bool) -> Iterator[None]:
    """Let the console print nothing, or everything, for the ``with`` block."""
    before, console.quiet = console.quiet, quiet
    try:
        yield
    finally:
        console.quiet = before


def _drop_output() -> None:
    """Discard output that could not be written, so that Python does not try again at its end."""
    with suppress(OSError):
        sys.stdout.flush()
        return
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _usage_error(error: TyperException, words: Sequence[str]) -> str:
    """Return what is wrong with a command line, and how to see what is right."""
    text = error.format_message().strip().rstrip(".")
    value = _value_of(getattr(getattr(error, "param", None), "opts", ()), words)
    if value is not None and "://" not in value and repr(value) not in text:  # a URL may hold a password
        text += f", got {value!r}"
    context = getattr(error, "ctx", None)
    return f"{text}; see `{context.command_path} --help`" if context else text


def _value_of(flags: Collection[str], words: Sequence[str]) -> str | None:
    """Return what the command line gives for an option, or None if it gives nothing."""
    for word, following in zip(words, [*words[1:], None], strict=True):
        flag, equals, value = word.partition("=")
        if flag in flags:
            return value if equals else following
    return None


def _allow_open_files() -> None:
    """Raise the limit on open files of this process as far as its user may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"calostream {version('calostream')}")
        raise typer.Exit


_common_app = typer.Typer(add_completion=False)


@_common_app.command()
def _common_options(
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", expose_value=False, help="Show only results and errors, no progress.")
    ] = False,
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
    """Define the options that `run` adds to every command."""


def one_line(error: BaseException) -> str:
    """Return the message of an error on one line; it starts with the file or type if the error is not the project's."""
    if isinstance(error, OSError) and error.filename and error.strerror:
        text = f"{error.filename}: {error.strerror}"
    else:
        text = str(error) if isinstance(error, CalostreamError) else f"{type(error).__name__}: {error}"
    if _is_too_many_files(error):
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        text += f"; this process may open {limit} files, and `ulimit -n {max(4096, 2 * limit)}` allows more"
    return printable(" ".join(text.split()))


def _is_too_many_files(error: BaseException | None) -> bool:
    """Return whether an error, or one that led to it, is that the process has too many open files."""
    seen: set[int] = set()  # an error may be its own cause
    while error is not None and id(error) not in seen:
        if getattr(error, "errno", None) == errno.EMFILE or os.strerror(errno.EMFILE) in str(error):
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False


def fail(text: str) -> None:
    """Print an error on standard error, in red, also if the program is quiet."""
    with _quiet(False):
        say(f"error: {text}", style="red")


def say(text: str, style: str | None = None) -> None:
    """Print a text on standard error, without markup; in a terminal it is wrapped between words, else one line."""
    console.print(printable(text), style=style, markup=False, soft_wrap=not console.is_terminal)


def output_screen() -> Screen:
    """Return a console for results on standard output, which wraps between words in a terminal and hardly in a file."""
    screen = Screen(highlight=False)
    if not screen.is_terminal:
        screen.width = FILE_WIDTH
    return screen


def track(items: Iterable[T], description: str, total: int | None = None) -> Iterable[T]:
    """Yield the items and show a progress bar on standard error."""
    from rich.progress import track

    return track(items, description=description, total=total, console=console)
