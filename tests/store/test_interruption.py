"""Ctrl-C and requests to end: one line, a status that says so, and time to clean up."""

import signal

import pytest
import typer

from store.console import run
from store.interruption import NUMBERS
from tests.store.started import start


@pytest.mark.parametrize(
    ("number", "status", "line"),
    [
        (signal.SIGINT, 1, "interrupted\n"),
        (signal.SIGTERM, 143, "ended by SIGTERM\n"),
        (signal.SIGHUP, 129, "ended by SIGHUP\n"),
    ],
)
def test_an_interruption_while_a_program_is_imported_is_one_line(tmp_path, number, status, line):
    (tmp_path / "slow.py").write_text("import time; print('importing', flush=True); time.sleep(100)")
    code = (
        f"import sys; sys.path.append({str(tmp_path)!r}); from calostream.programs import start; start('slow', 'main')"
    )
    with start(code) as process:
        assert process.stdout.readline() == "importing\n"
        process.send_signal(number)
        assert process.communicate() == ("", line)
    assert process.returncode == status


CLEANING = """
import os, signal, sys, time, typer
from store import console

app = typer.Typer()

@app.command()
def work() -> None:
    try:
        print("working", flush=True)
        time.sleep(100)
    finally:
        os.kill(os.getpid(), int(sys.argv[1]))  # as a scheduler does: once to the process, once to its group
        print("cleaned up", flush=True)

console.run(app, argv=[])
"""


@pytest.mark.parametrize(
    ("number", "status", "line"),
    [
        (signal.SIGINT, 1, "interrupted"),
        (signal.SIGTERM, 143, "ended by SIGTERM"),
        (signal.SIGHUP, 129, "ended by SIGHUP"),
    ],
)
def test_a_request_to_end_lets_a_program_clean_up(number, status, line):
    with start(CLEANING, str(int(number))) as process:
        assert process.stdout.readline() == "working\n"
        process.send_signal(number)
        assert process.communicate() == ("cleaned up\n", f"{line}\n")
    assert process.returncode == status


def test_an_error_that_an_interruption_causes_in_a_library_is_no_error_of_the_program():
    code = CLEANING.replace("finally:", "except BaseException as error:\n        raise RuntimeError('cancelled')")
    with start(code.partition("        os.kill")[0] + "\nconsole.run(app, argv=[])") as process:
        assert process.stdout.readline() == "working\n"
        process.send_signal(signal.SIGTERM)
        assert process.communicate() == ("", "ended by SIGTERM\n")
    assert process.returncode == 143


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_a_signal_that_is_ignored_stays_ignored(number):
    code = f"import signal; signal.signal({int(number)}, signal.SIG_IGN)" + CLEANING.replace("sleep(100)", "sleep(0.5)")
    with start(code, str(int(number))) as process:
        assert process.stdout.readline() == "working\n"
        process.send_signal(number)
        assert process.communicate() == ("cleaned up\n", "")
    assert process.returncode == 0


def test_a_program_leaves_the_handlers_of_its_caller():
    app = typer.Typer()
    app.command()(lambda: None)
    before = [signal.getsignal(number) for number in NUMBERS]
    with pytest.raises(SystemExit):
        run(app, argv=[])
    assert [signal.getsignal(number) for number in NUMBERS] == before
