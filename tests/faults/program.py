"""The program ``ingest`` in processes that can be watched, stopped and killed, with small stages so that it has many.

Processes are forked from one that has the imports behind it: a run takes half a second instead of two.
"""

import multiprocessing
import os
import signal
import sys
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

MEMORY = "5.2MB"  # two stretches at once, each in several runs
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["ingest.cli", "ingest.convert", "ingest.workers", "xarray.backends.zarr"])


@dataclass(frozen=True, kw_only=True)
class Run:
    """An ingest that was started.

    Attributes
    ----------
    process
        Its process.
    printed
        File with all it prints.
    steps
        File with a line for each change it makes to files: what, and the path.
    """

    process: BaseProcess
    printed: Path
    steps: Path

    def wait(self) -> int:
        """Return the exit status, or minus the signal that ended the process."""
        self.process.join()
        assert self.process.exitcode is not None
        return self.process.exitcode

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        assert self.process.pid is not None
        os.kill(self.process.pid, number)

    @property
    def output(self) -> str:
        return self.printed.read_text()

    @property
    def changes(self) -> list[str]:
        return self.steps.read_text().splitlines()


def start(notes: Path, *words: str | Path, end: int = 0, stop: int = 0) -> Run:
    """Start ``ingest`` with some words; `notes` is a folder for what it prints and does.

    Parameters
    ----------
    notes
        Folder outside of what the program works on.
    words
        Of the command line.
    end, stop
        Number of the step, from 1, just before which the process ends or stops itself by SIGKILL or SIGSTOP; 0: never.
    """
    number = len(list(notes.glob("*.steps")))
    run = Run(
        process=CONTEXT.Process(target=_ingest, args=([*map(str, words)], notes / str(number), end, stop)),
        printed=notes / f"{number}.printed",
        steps=notes / f"{number}.steps",
    )
    run.steps.touch()
    run.process.start()
    return run


def _ingest(words: list[str], notes: Path, end: int, stop: int) -> None:
    """Be the program."""
    printed = os.open(notes.with_suffix(".printed"), os.O_WRONLY | os.O_CREAT)
    os.dup2(printed, 1)
    os.dup2(printed, 2)
    _make_stages_small()
    steps = os.open(notes.with_suffix(".steps"), os.O_WRONLY | os.O_APPEND)
    done = 0

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal done
        if not _changes_files(event, arguments):
            return
        done += 1
        if done in (end, stop):
            os.kill(os.getpid(), signal.SIGKILL if done == end else signal.SIGSTOP)
        os.write(steps, f"{event} {arguments[0]}\n".encode())

    sys.addaudithook(watch)
    sys.argv = ["ingest", *words]
    from ingest.cli import main

    main()


def _make_stages_small() -> None:
    import ingest.budget
    import ingest.shuffle
    import store.layout

    ingest.shuffle.STRETCH_BYTES = 300 * 8192  # three chunks of the sources
    ingest.budget.LEAST_HELD = 1 << 16
    store.layout.SHARD_BYTES = 2 << 20  # 256 images
    store.layout.CHUNK_BYTES = 1 << 16


def _changes_files(event: str, arguments: tuple[object, ...]) -> bool:
    if event == "open":
        path, mode, flags = arguments
        return isinstance(path, str) and isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR))
    return event in ("os.rename", "os.remove", "os.rmdir", "os.mkdir")
