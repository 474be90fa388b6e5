"""Programs that are asked to end, by Ctrl-C or SIGTERM, say so and leave nothing half-written, whenever that is."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import pytest

from store.files import is_partial
from store.run_folder import RunFolder
from tests.examples import run_program
from tests.faults.conftest import Undisturbed
from tests.faults.program import start
from tests.faults.test_kill import FULL, STAGES, check_rerun, step_in
from train.baselines.cli import logistic_app

ROOT = Path(__file__).parents[2]
PROGRAM = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from calostream import programs
getattr(programs, sys.argv.pop(1))()
"""
ENDS = {signal.SIGINT: (1, "interrupted"), signal.SIGTERM: (143, "ended by SIGTERM")}

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc, to see when signals are handled")


@pytest.mark.parametrize("number", ENDS)
@pytest.mark.parametrize("stage", [*STAGES[:2], *(pytest.param(stage, marks=FULL) for stage in STAGES[2:])])
def test_an_ingest_that_is_asked_to_end_leaves_no_partial_file_and_is_resumed(
    undisturbed: Undisturbed, tmp_path: Path, notes: Path, stage: str, number: signal.Signals
) -> None:
    step = step_in(undisturbed.changes, stage, np.random.default_rng(0))
    store = tmp_path / "showers.zarr"
    run = start(notes, *undisturbed.words, "--output", store, stop=step)
    run.wait_until_stopped()
    run.kill(number)
    run.resume()
    status, line = ENDS[number]
    assert run.wait() == status, run.output
    assert run.output.splitlines()[-1] == line
    assert "Traceback" not in run.output
    assert [path for path in tmp_path.rglob("*") if is_partial(path)] == []
    check_rerun(undisturbed, notes, store)


@contextmanager
def started(*words: object, cwd: Path) -> Iterator["subprocess.Popen[str]"]:
    """Start a program, and wait until it handles signals."""
    command = [sys.executable, "-c", PROGRAM, *map(str, words)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen(command, cwd=cwd, text=True, start_new_session=True, **pipes) as process:
        try:
            wait_for(lambda: handles(process.pid, signal.SIGTERM))
            yield process
        finally:
            process.kill()


def handles(process: int, number: signal.Signals) -> bool:
    caught = re.search(r"SigCgt:\s*([0-9a-f]+)", Path(f"/proc/{process}/status").read_text())
    return caught is not None and bool(int(caught[1], 16) & 1 << (number - 1))


def wait_for(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 100
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("number", ENDS)
@pytest.mark.parametrize("seconds", [0, *(pytest.param(seconds, marks=FULL) for seconds in (0.1, 0.6)), 0.3, 1.0])
def test_a_program_that_is_asked_to_end_while_it_starts_says_so_on_one_line(
    tmp_path: Path, seconds: float, number: signal.Signals
) -> None:
    with started("ingest", "--sample", "--output", tmp_path / "s.zarr", cwd=tmp_path) as process:
        time.sleep(seconds)
        process.send_signal(number)
        output = process.communicate()[0]
    status, line = ENDS[number]
    assert process.returncode == status, output
    assert output.splitlines()[-1] == line
    assert "Traceback" not in output
    assert not (tmp_path / "s.zarr").exists()


@pytest.mark.parametrize("number", ENDS)
def test_a_scoring_that_is_asked_to_end_leaves_no_file_and_no_process(
    tmp_path: Path, showers: Path, number: signal.Signals
) -> None:
    trained = run_program(logistic_app, None, "--store", showers, "--run", tmp_path / "run")
    assert trained.status == 0, trained.err
    (scores := tmp_path / "scores").mkdir()
    with started("evaluate", "score", tmp_path / "run", showers, "--output", scores / "s.csv", cwd=tmp_path) as process:
        wait_for(lambda: list(scores.iterdir()))
        wait_for(lambda: psutil.Process(process.pid).children())
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(number)
        output = process.communicate()[0]
    status, line = ENDS[number]
    assert process.returncode == status, output
    assert output.splitlines()[-1] == line
    assert list(scores.iterdir()) == []
    # A process that was asked to end while it started another leaves it to end at the end of its input.
    wait_for(lambda: not any(child.is_running() for child in children))


@pytest.mark.parametrize("number", ENDS)
@pytest.mark.parametrize("seconds", [0, pytest.param(3, marks=FULL)])
def test_an_ingest_on_a_cluster_that_is_asked_to_end_leaves_no_process(
    tmp_path: Path, number: signal.Signals, seconds: float
) -> None:
    words = ("ingest", "--sample", "--workers", "2", "--output", tmp_path / "s.zarr")
    with started(*words, cwd=tmp_path) as process:
        wait_for(lambda: len(psutil.Process(process.pid).children(recursive=True)) >= 3)  # a helper and two workers
        time.sleep(seconds)
        children = psutil.Process(process.pid).children(recursive=True)
        if number == signal.SIGINT:  # a terminal sends it to all processes
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        output = process.communicate()[0]
    assert process.returncode == ENDS[number][0], output
    assert output.splitlines()[-1] == ENDS[number][1]
    assert "Traceback" not in output
    wait_for(lambda: not any(child.is_running() for child in children))


def test_a_training_that_is_asked_to_end_names_the_command_that_continues_it(tmp_path: Path, showers: Path) -> None:
    run = tmp_path / "run"
    words = (
        "train_torch",
        "--store",
        showers,
        "--run",
        run,
        "--epochs",
        "1000",
        "--patience",
        "1000",
        "--model",
        "cnn-small",
    )
    with started(*words, cwd=tmp_path) as process:
        wait_for(lambda: RunFolder(path=run).last_checkpoint.exists() or process.poll() is not None)
        process.send_signal(signal.SIGTERM)
        output = process.communicate()[0]
    assert process.returncode == 143, output
    assert output.splitlines()[-2:] == [
        f"`train-torch --run {run} --resume` continues this run",
        "ended by SIGTERM",
    ]
    assert [path for path in run.rglob("*") if is_partial(path)] == []
