"""The process that measures: one for each framework, and a new one after anything has failed."""

import contextlib
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]


class FailedError(Exception):
    """A measurement failed; the message is the reason, in one line.

    After an error a GPU may refuse all further work of a process; `usable` says that this one is as before.
    """

    def __init__(self, reason: str, *, usable: bool = False) -> None:
        super().__init__(reason)
        self.usable = usable


class Process:
    """A process that carries out the commands of `tests.benchmarks.gpu.worker`.

    Parameters
    ----------
    framework
        ``torch`` or ``keras``.
    device
        ``cuda``, ``cpu``, or ``auto``: a GPU if there is one.
    folder
        Folder for temporary files.
    threads
        Threads that decode images.
    """

    def __init__(self, framework: str, device: str, folder: Path, threads: int) -> None:
        self.framework = framework
        words = [sys.executable, "-m", "tests.benchmarks.gpu.worker", framework, device, str(folder), str(threads)]
        # TensorFlow would take all memory of the GPU, and OpenMP threads that spin would take time from decoding.
        environment = {"TF_FORCE_GPU_ALLOW_GROWTH": "true", "OMP_WAIT_POLICY": "PASSIVE", "TF_CPP_MIN_LOG_LEVEL": "2"}
        with tempfile.NamedTemporaryFile("w", dir=folder, suffix=".log", delete=False) as log:
            self._log = Path(log.name)
            self._process = subprocess.Popen(
                words,
                cwd=ROOT,
                env=environment | os.environ,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )

    def ask(self, command: str, arguments: Mapping[str, Any], limit: float) -> dict[str, Any]:
        """Carry out a command and return its answer.

        Raises
        ------
        FailedError
            If the command fails, takes longer than `limit` seconds, or ends the process.
        """
        assert self._process.stdin
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps({"do": command, **arguments}).encode() + b"\n")
            self._process.stdin.flush()
        line = self._read_line(time.monotonic() + limit)
        if line is None:
            raise FailedError(f"not finished after {limit:.0f} s")
        if not line:
            status = self._process.wait()
            errors = self._log.read_text(errors="replace").strip().splitlines() or ["it wrote no error"]
            raise FailedError(f"the process ended with status {status}: {errors[-1][:300]}")
        answer: dict[str, Any] = json.loads(line)
        if "failed" in answer:
            raise FailedError(answer["failed"], usable=answer["usable"])
        return answer

    def _read_line(self, deadline: float) -> bytes | None:
        """Return a line of the process, nothing if it has ended, and None at the deadline."""
        assert self._process.stdout
        line = b""
        while not line.endswith(b"\n"):
            left = max(0, deadline - time.monotonic())
            if not select.select([self._process.stdout], [], [], left)[0]:
                return None
            part = os.read(self._process.stdout.fileno(), 1 << 16)
            if not part:
                return b""
            line += part
        return line

    def stop(self) -> None:
        """End the process, whatever it is doing."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


class Processes:
    """At most one process at a time, so that no two share the device."""

    def __init__(self, device: str, folder: Path, threads: int) -> None:
        self._options = device, folder, threads
        self._current: Process | None = None

    def ask(self, framework: str, command: str, arguments: Mapping[str, Any], limit: float) -> dict[str, Any]:
        """Carry out a command in the process of a framework; see `Process.ask`."""
        if self._current is None or self._current.framework != framework:
            self.stop()
            self._current = Process(framework, *self._options)
        try:
            return self._current.ask(command, arguments, limit)
        except FailedError as error:
            if not error.usable:
                self.stop()
            raise

    def stop(self) -> None:
        """End the process, if there is one."""
        if self._current is not None:
            self._current.stop()
            self._current = None


@contextlib.contextmanager
def processes(device: str, folder: Path, threads: int) -> Iterator[Processes]:
    """Yield `Processes`, and end them at last."""
    started = Processes(device, folder, threads)
    try:
        yield started
    finally:
        started.stop()
