import errno
import importlib.metadata
import io
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from rich.table import Table

from store.console import Screen, _expand_home, console, one_line, run, say, track
from store.errors import SourceError
from tests.store.started import start

ROOT = Path(__file__).parents[2]
PROGRAM = """
import typer
from store import console

app = typer.Typer()
app.command()(lambda: console.Screen().print("0.91 \xb1 0.02"))
console.run(app)
"""


@pytest.fixture
def app():
    """Return a program of two commands, one of which fails in the way its argument says."""
    app = typer.Typer(add_completion=False)

    @app.command("work")
    def work(word: str = typer.Argument("nothing"), number: int = 0) -> None:
        typer.echo(f"worked on {word} {number}")

    @app.command("fail")
    def fail(how: str) -> None:
        raise {
            "own": SourceError("a.hdf5: row 3\n  is   wrong [red]"),
            "other": KeyError("key"),
            "interrupt": KeyboardInterrupt(),
        }[how]

    return app


@pytest.fixture
def status(app, capsys):
    """Return a function that runs the program and gives its exit status, standard output and standard error."""

    def call(*words):
        with pytest.raises(SystemExit) as exit_:
            run(app, default="work", argv=words)
        return exit_.value.code, *capsys.readouterr()

    return call


def test_success_is_0(status):
    assert status("work", "hard") == (0, "worked on hard 0\n", "")


def test_a_word_that_is_no_command_belongs_to_the_default_command(status):
    assert status("hard")[1] == "worked on hard 0\n"
    assert status("--number", "3")[1] == "worked on nothing 3\n"
    assert status()[1] == "worked on nothing 0\n"


def test_help_is_that_of_the_program(status):
    code, out, _ = status("--help")
    assert code == 0
    assert "fail" in out


@pytest.mark.parametrize("words", [("-h",), ("work", "-h"), ("work", "--help")])
def test_help_has_a_short_form(status, words):
    code, out, _ = status(*words)
    assert code == 0
    assert "-h" in out


def test_the_version_is_that_of_the_package(status):
    assert status("--version") == (0, f"calostream {importlib.metadata.version('calostream')}\n", "")


def test_a_program_of_one_command_has_help_and_version_too(capsys):
    app = typer.Typer(add_completion=False)
    ran = []
    app.command()(lambda: ran.append(1))
    for word, shown in (("-h", "--version"), ("--version", "calostream ")):
        with pytest.raises(SystemExit) as exit_:
            run(app, argv=[word])
        assert exit_.value.code == 0
        assert shown in capsys.readouterr().out
    assert not ran


def test_an_error_is_1_and_one_line_on_standard_error(status):
    assert status("fail", "own") == (1, "", "error: a.hdf5: row 3 is wrong [red]\n")


def test_an_error_that_is_not_the_projects_own_is_led_by_its_type(status):
    assert status("fail", "other") == (1, "", "error: KeyError: 'key'\n")


def test_a_long_error_stays_on_one_line(status, monkeypatch):
    monkeypatch.setattr(console, "width", 40)
    assert status("fail", "own")[2].count("\n") == 1


@pytest.mark.parametrize("words", [("work", "--nonsense"), ("work", "a", "b"), ("fail",), ("--number", "three")])
def test_wrong_usage_is_2(status, words):
    code, out, err = status(*words)
    assert code == 2
    assert out == ""
    assert err


def test_what_a_message_quotes_cannot_command_the_terminal(app, capsys):
    @app.command("open")
    def open_(name: str) -> None:
        raise SourceError(f"{name}: not readable")

    name = os.fsdecode(b"a\x1b[2J\x07\x9b\x7f\xff") + "\u202eb"
    with pytest.raises(SystemExit):
        run(app, argv=["open", name])
    assert capsys.readouterr().err == r"error: a\x1b[2J\x07\udc9b\x7f\udcff\u202eb: not readable" + "\n"
    say("two\nlines \r and é")
    assert capsys.readouterr().err == "two\nlines \\r and é\n"


def test_an_interruption_is_1_without_a_traceback(status):
    code, _, err = status("fail", "interrupt")
    assert code == 1
    assert err == "interrupted\n"


def test_debug_shows_the_traceback(app):
    with pytest.raises(SourceError, match="row 3"):
        run(app, argv=["fail", "--debug", "own"])


def test_what_a_table_holds_cannot_command_the_terminal():
    screen = Screen(file=io.StringIO())
    table = Table("name of a sufficient width")
    table.add_row("a\x1b[2J\x9b31mb\ntwo lines")
    screen.print(table)
    shown = screen.file.getvalue()
    assert "a\\x1b[2J\\x9b31mb" in shown
    assert not [c for c in shown if not c.isprintable() and c != "\n"]


def test_colours_of_our_own_still_reach_a_terminal():
    screen = Screen(file=io.StringIO(), force_terminal=True, color_system="standard")
    screen.print("red", style="red")
    assert screen.file.getvalue() == "\x1b[31mred\x1b[0m\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's device that is always full")
def test_output_that_cannot_be_written_is_one_line():
    with Path("/dev/full").open("w") as full, start(PROGRAM, stdout=full) as process:
        assert process.communicate()[1] == "error: standard output: No space left on device\n"
    assert process.returncode == 1


def test_a_program_runs_whose_output_is_closed():
    code = "import sys; sys.stdout = sys.stderr = None" + PROGRAM
    with start(code) as process:
        assert process.communicate() == ("", "")
    assert process.returncode == 0


def test_output_that_nobody_reads_any_more_is_no_traceback():
    with start(PROGRAM) as process:
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 1


def test_characters_that_a_terminal_lacks_are_escaped():
    with start(PROGRAM, env={**os.environ, "PYTHONIOENCODING": "ascii"}) as process:
        assert process.communicate() == ("0.91 \\xb1 0.02\n", "")
    assert process.returncode == 0


@pytest.mark.parametrize("words", ["--x\x1b[31m", "work --number=\x1b[31m", "work a \x9b31m\u202e"])
def test_wrong_usage_is_one_line_that_cannot_command_the_terminal(status, words):
    code, out, err = status(*words.split(" "))
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert re.search(r"\\x1b\[31m|\\x9b31m\\u202e", err)
    assert [c for c in err if not c.isprintable()] == ["\n"]


def test_too_many_open_files_are_named_with_the_limit_and_the_command_that_raises_it(status, app):
    @app.command("open")
    def open_files(wrapped: bool = False) -> None:
        try:
            raise OSError(errno.EMFILE, "Too many open files", "c.3")
        except OSError as error:
            if not wrapped:
                raise
            raise SourceError("a.hdf5: cannot be opened") from error

    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    hint = f"; this process may open {limit} files, and `ulimit -n {max(4096, 2 * limit)}` allows more\n"
    assert status("open") == (1, "", "error: c.3: Too many open files" + hint)
    assert status("open", "--wrapped") == (1, "", "error: a.hdf5: cannot be opened" + hint)


def test_the_limit_on_open_files_is_raised_as_far_as_allowed():
    code = """
import resource, typer
from store import console
resource.setrlimit(resource.RLIMIT_NOFILE, (100, 300))
app = typer.Typer()
app.command()(lambda: print(resource.getrlimit(resource.RLIMIT_NOFILE)))
console.run(app, argv=[])
"""
    with start(code) as process:
        assert process.communicate() == ("(300, 300)\n", "")


def test_an_error_has_one_line_however_it_was_written():
    assert one_line(SourceError("a\n\n  b\tc")) == "a b c"
    assert one_line(OSError(2, "No such file")) == "FileNotFoundError: [Errno 2] No such file"
    assert one_line(OSError(13, "Permission denied", "a.csv")) == "a.csv: Permission denied"


def test_track_gives_the_items_and_draws_on_standard_error(capsys):
    assert list(track(range(3), "counting")) == [0, 1, 2]
    out, err = capsys.readouterr()
    assert out == ""
    assert "counting" in err


@pytest.mark.parametrize(
    ("word", "expanded"),
    [
        ("~/x", "/home/someone/x"),
        ("--output=~/x", "/home/someone/x"),
        ("--output=~", "/home/someone"),
        ("a~/x", "a~/x"),
        ("--output=~root/x", f"{Path('~root').expanduser()}/x"),
        ("--output=~nobody-has-this-name/x", "~nobody-has-this-name/x"),
        ("--where=x ~ y", "x ~ y"),
    ],
)
def test_the_home_folder_is_expanded_where_the_shell_does_not(word, expanded, monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    name = word.partition("=")[0] + "=" if word.startswith("--") else ""
    assert _expand_home(word) == name + expanded


@pytest.mark.parametrize("words", [("--quiet", "fail", "own"), ("fail", "own", "-q"), ("fail", "--quiet", "own")])
def test_quiet_anywhere_leaves_errors(status, words):
    code, out, err = status(*words)
    assert (code, out) == (1, "")
    assert err.startswith("error: a.hdf5")


def test_quiet_leaves_results_but_no_progress(capsys):
    app = typer.Typer()

    @app.command()
    def work():
        say("working")
        list(track([1, 2], "working"))
        typer.echo("worked")

    for words, said in (([], True), (["-q"], False)):
        with pytest.raises(SystemExit):
            run(app, argv=words)
        out, err = capsys.readouterr()
        assert out == "worked\n"
        assert bool(err) == said
        say("still here")
        assert capsys.readouterr().err == "still here\n"


@pytest.mark.parametrize(
    ("program", "words", "completed"),
    [
        ("train-torch", "train-torch --learning", "--learning-rate"),
        ("ingest", "ingest conv", "convert"),
        ("evaluate", "evaluate report --out", "--output"),
    ],
)
def test_shells_complete_the_words_of_an_installed_program(program, words, completed):
    name = program.replace("-", "_").upper()
    variables = {f"_{name}_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    command = [Path(sys.executable).with_name(program)]
    done = subprocess.run(command, env=os.environ | variables, capture_output=True, text=True)
    assert done.stdout.split() == [completed]
    # The program shows what is for the shell that started it; with a last command, bash does not become the program.
    in_bash = ["bash", "-c", '"$0" --show-completion; exit $?', *command]
    shown = subprocess.run(in_bash, capture_output=True, text=True, check=True)
    assert f"_{name}_COMPLETE=complete_bash" in shown.stdout
