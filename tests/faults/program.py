"""The program ``ingest`` in processes that can be watched, stopped and killed; little memory gives it many stages.

Processes are forked from one that has already imported everything, so that a run takes half a second instead of two.
"""

import itertools
import multiprocessing
import os
import re
import signal
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

import psutil

MEMORY = "5.2MB"  # enough for two stretches at once, each of which is sorted in several runs
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    ["ingest.cli", "ingest.convert", "ingest.verify", "ingest.info", "xarray.backends.zarr", "tests.faults.warm"]
)


@dataclass(frozen=True, kw_only=True)
class Run:
    """An ingest that was started.

    Attributes
    ----------
    process
        Its process.
    printed
        File with everything that it prints.
    steps
        File with one line for each change that it makes to files: the audit event of Python and the path.
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

    def wait_until_stopped(self) -> None:
        """Wait until the process has stopped itself."""
        process = psutil.Process(self.process.pid)
        while process.status() != psutil.STATUS_STOPPED:
            assert self.process.is_alive(), self.output
            time.sleep(0.005)

    def resume(self) -> None:
        self.kill(signal.SIGCONT)

    @property
    def output(self) -> str:
        return self.printed.read_text()

    @property
    def changes(self) -> list[str]:
        return self.steps.read_text().splitlines()


STARTED: dict[Path, list[Run]] = defaultdict(list)


def start(notes: Path, *words: str | Path, end: int | str = 0, stop: int | str = 0) -> Run:
    """Start the program ``ingest``.

    Parameters
    ----------
    notes
        Folder for `Run.printed` and `Run.steps`, which the program itself does not use.
    words
        Words of the command line.
    end, stop
        Step before which the process kills or stops itself, with SIGKILL or SIGSTOP: its number, from 1, or a
        pattern that its line in `Run.steps` matches.
    """
    number = len(STARTED[notes])
    run = Run(
        process=CONTEXT.Process(target=_ingest, args=([*map(str, words)], notes / str(number), end, stop)),
        printed=notes / f"{number}.printed",
        steps=notes / f"{number}.steps",
    )
    STARTED[notes].append(run)
    run.steps.touch()
    run.process.start()
    return run


def end_all(notes: Path) -> None:
    """Kill processes that still run, or are stopped, because a test failed."""
    for run in STARTED.pop(notes, []):
        run.process.kill()


def _ingest(words: list[str], notes: Path, end: int | str, stop: int | str) -> None:
    """Run the program in this process, and note its steps."""
    printed = os.open(notes.with_suffix(".printed"), os.O_WRONLY | os.O_CREAT)
    os.dup2(printed, 1)
    os.dup2(printed, 2)
    _make_stages_small()
    steps = os.open(notes.with_suffix(".steps"), os.O_WRONLY | os.O_APPEND)
    folder = Path(words[words.index("--output") + 1]).parent if "--output" in words else None
    numbers = itertools.count(1)

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal stop
        if folder is None or not _changes_files(event, arguments, folder):
            return
        number, change = next(numbers), f"{event} {arguments[0]}"
        if _is_step(end, number, change):
            os.kill(os.getpid(), signal.SIGKILL)
        if _is_step(stop, number, change):
            stop = 0
            os.kill(os.getpid(), signal.SIGSTOP)
        os.write(steps, f"{change}\n".encode())

    sys.addaudithook(watch)
    sys.argv = ["ingest", *words]
    from ingest.cli import main

    main()


def _is_step(which: int | str, number: int, change: str) -> bool:
    return number == which if isinstance(which, int) else re.search(which, change) is not None


def _make_stages_small() -> None:
    import ingest.budget
    import ingest.external_shuffle
    import store.layout

    ingest.external_shuffle.STRETCH_BYTES = 300 * 8192  # three chunks of the sources
    ingest.budget.LEAST_HELD = 1 << 16
    store.layout.SHARD_BYTES = 150 << 10  # about 256 images, as stored
    store.layout.CHUNK_BYTES = 1 << 16


def _changes_files(event: str, arguments: tuple[object, ...], folder: Path) -> bool:
    """Return whether an audit event is a change to files in a folder; a path from `shutil.rmtree` may be relative."""
    if event not in ("open", "os.rename", "os.remove", "os.rmdir", "os.mkdir"):
        return False
    path, *_, flags = arguments
    if event == "open" and not (isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR)):
        return False
    return isinstance(path, str | Path) and (not Path(path).is_absolute() or Path(path).is_relative_to(folder))
