"""A quick stand-in for the process that tries HDF5 files: a fork, which need not import everything again."""

import os
import signal
import sys
from collections.abc import Sequence
from typing import IO, Any

from store.sources import probe


class Forked:
    """Behaves like the ``subprocess.Popen`` that `store.sources.probe.probe` starts, and runs the same code.

    Parameters
    ----------
    words
        Command line of the process; the names of datasets are those that follow the program.
    stderr
        File for what the process prints.
    """

    def __init__(self, words: Sequence[str], *, stderr: IO[bytes], **_: object) -> None:
        (read_names, send_names), (read_answers, send_answers) = os.pipe(), os.pipe()
        self._process = os.fork()
        if not self._process:
            for end, number in ((read_names, 0), (send_answers, 1), (stderr.fileno(), 2)):
                os.dup2(end, number)
            os.close(send_names)
            _run(words[words.index(probe.PROGRAM) + 1 :])
        os.close(read_names)
        os.close(send_answers)
        self.stdin, self.stdout = os.fdopen(send_names, "wb", 0), os.fdopen(read_answers, "rb", 0)
        self._status: int | None = None

    def wait(self) -> int:
        """Return the exit status, which is negative after a signal."""
        if self._status is None:
            self._status = os.waitstatus_to_exitcode(os.waitpid(self._process, 0)[1])
        return self._status

    def kill(self) -> None:
        if self._status is None:
            os.kill(self._process, signal.SIGKILL)

    def __enter__(self) -> "Forked":
        return self

    def __exit__(self, *_: object) -> Any:
        self.stdin.close()
        self.wait()
        self.stdout.close()


def _run(keys: Sequence[str]) -> None:
    """Run the program in this process, which is a fork, and end it."""
    try:
        sys.stdin = os.fdopen(0)
        probe.main(keys)
    finally:
        os._exit(0)
