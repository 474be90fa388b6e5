"""Runs the model of a run in a separate process, so that the process that asks it needs no framework."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np

from store.arrays import Float32Array, Float64Array
from store.errors import RunError
from store.run_folder import SCORERS
from store.score_pipe import receive_scores, send_block

ScoreBlock = Callable[[Float32Array, Float32Array], Float64Array]
"""Takes images (n, ieta, iphi, channel) and variables (n, variable).

Returns scores (n,), or for more than two classes probabilities (n, class).
"""

PROJECT_FOLDER = Path(__file__).resolve().parents[1]
"""Folder of the project's packages."""

TAIL_BYTES = 1 << 14


@contextlib.contextmanager
def open_model(
    framework: str, run: Path, classes: int = 2, environment: Mapping[str, str] | None = None
) -> Iterator[ScoreBlock]:
    """Start the process that holds the model of a run, and yield a function that asks it for scores.

    `store.score_pipe` describes what is sent through the pipes.

    Parameters
    ----------
    framework
        A key of `store.run_folder.SCORERS`.
    run
        The run directory.
    classes
        Number of classes of its data set.
    environment
        Environment variables that the process has in addition to those of this one, or with other values.

    Raises
    ------
    RunError
        If the framework is unknown. The yielded function raises it if the model fails, has another number of classes,
        or a score is not finite.
    """
    if framework not in SCORERS:
        raise RunError(f"{run}: unknown framework {framework!r}; known: {', '.join(SCORERS)}")
    with tempfile.TemporaryFile() as output, _start(SCORERS[framework], run, output, environment or {}) as process:
        assert process.stdin
        try:
            yield lambda images, variables: _ask(run, classes, process, output, images, variables)
        except KeyboardInterrupt:
            process.kill()  # it may still be loading its framework
            process.wait()
            raise
        finally:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()


def _start(module: str, run: Path, output: BinaryIO, environment: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    # -P keeps the current folder out of the search path: it may hold a file or folder called `train`.
    return subprocess.Popen(
        [sys.executable, "-P", "-m", module, str(run)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=output,
        env=os.environ | environment | {"PYTHONPATH": _search_path(os.environ.get("PYTHONPATH", ""))},
    )


def _search_path(user: str) -> str:
    """Return the user's PYTHONPATH with the project's packages at its end.

    Empty entries, which stand for the current folder, are left out.
    """
    return os.pathsep.join([*filter(None, user.split(os.pathsep)), str(PROJECT_FOLDER)])


def _ask(
    run: Path,
    classes: int,
    process: "subprocess.Popen[bytes]",
    output: BinaryIO,
    images: Float32Array,
    variables: Float32Array,
) -> Float64Array:
    assert process.stdin
    assert process.stdout
    scores = None
    with contextlib.suppress(BrokenPipeError):
        send_block(process.stdin, images, variables)
        scores = receive_scores(process.stdout, len(images))
    if scores is None:
        raise RunError(f"{run}: its model gave no scores: {_failure(process.wait(), output)}")
    answered = 2 if scores.ndim == 1 else scores.shape[1]
    if answered != classes:
        raise RunError(f"{run}: its model gives scores of {answered} classes, but its data set has {classes}")
    if not np.isfinite(scores).all():
        raise RunError(f"{run}: its model gave a score of {scores[~np.isfinite(scores)][0]}; scores must be finite")
    return scores


def _failure(status: int, output: BinaryIO) -> str:
    """Return why a process ended: its error message, or else its exit status and its last line of output."""
    output.seek(max(0, output.seek(0, os.SEEK_END) - TAIL_BYTES))
    last = output.read().decode(errors="replace").strip().rpartition("\n")[2].strip()
    if last.startswith("error: "):
        return last.removeprefix("error: ")
    ending = (
        f"it was killed by signal {-status} ({signal.strsignal(-status)})"
        if status < 0
        else f"it ended with status {status}"
    )
    return f"{ending}; its last line was: {last}" if last else f"{ending} and printed nothing"
