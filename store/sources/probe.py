"""A trial reading of HDF5 files in a process of its own, because HDF5 may hang or crash on a damaged file.

A read that never ends cannot be interrupted, and one that crashes takes the process with it. So a child process first
reads everything except the images: links, shapes, chunk indexes, columns and attributes. This process reads them only
after the child could. Images are read later, chunk by chunk.
"""

import contextlib
import math
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from store.errors import SourceError

PATIENCE = 60.0  # seconds without any progress after which a read is given up
PIECE = 8 << 20  # bytes of a column that are read at once
MOST_COLUMNS = 255  # of labels, one per class; more is a flat image
ROOT = Path(__file__).parents[2]
PROGRAM = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from store.sources.probe import main; main(sys.argv[1:])"
PROGRESS, DONE = b".", b"\n"
ANSWERS = 1 << 12  # bytes of answers that are taken at once, or fewer if there are no more yet


def probe(paths: Sequence[Path], keys: Iterable[str]) -> None:
    """Read everything of some HDF5 files except their images, in one child process.

    Rules are not checked here: a file that breaks one is refused when it is opened.

    Parameters
    ----------
    paths
        The files.
    keys
        Names of the datasets, of images and of columns, that will be read if a file has them.

    Raises
    ------
    SourceError
        If reading a file does not end, or crashes.
    """
    if not paths:
        return
    words = [sys.executable, "-P", "-c", PROGRAM, *keys]
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, bufsize=0) as child,
    ):
        try:
            _send(child, paths)
            for path, end in zip(paths, _files_done(child), strict=False):
                if end == "hang":
                    raise SourceError(
                        f"{path}: is damaged: reading it does not end, HDF5 made no progress for {PATIENCE:g} s"
                    )
                if end == "crash":
                    errors.seek(0)
                    raise SourceError(f"{path}: {_last_words(child.wait(), errors)}")
        finally:
            child.kill()


def _send(child: "subprocess.Popen[bytes]", paths: Sequence[Path]) -> None:
    assert child.stdin
    with contextlib.suppress(BrokenPipeError), child.stdin:
        child.stdin.write(b"\0".join(os.fsencode(path) for path in paths))


def _files_done(child: "subprocess.Popen[bytes]") -> Iterator[str]:
    """Yield, for each file, "done", or "hang" or "crash" if the child did not finish it."""
    assert child.stdout
    answers: queue.Queue[bytes] = queue.Queue()
    threading.Thread(target=_listen, args=(child.stdout, answers), daemon=True).start()
    while True:
        try:
            answer = answers.get(timeout=PATIENCE)
        except queue.Empty:
            yield "hang"
            return
        if not answer:
            yield "crash"
            return
        yield from ["done"] * answer.count(DONE)


def _listen(stream: IO[bytes], answers: "queue.Queue[bytes]") -> None:
    """Queue what the child writes, and an empty value at its end."""
    with contextlib.suppress(ValueError, OSError):
        while answer := stream.read(ANSWERS):
            answers.put(answer)
    answers.put(b"")


def _last_words(status: int, errors: IO[bytes]) -> str:
    if status < 0:
        return f"HDF5 crashes when it reads this file ({signal.Signals(-status).name}); the file is damaged"
    lines = errors.read().decode(errors="replace").split("\n")
    return f"the process that tries to read this file ended with status {status}: {' '.join(lines[-2:]).strip()}"


def main(keys: Sequence[str]) -> None:
    """Read the files whose names are on standard input; write a byte after each step, a line end after each."""
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # what libraries print is no answer
    for name in sys.stdin.buffer.read().split(b"\0"):
        with contextlib.suppress(Exception):  # the process that opens the file raises the same, and says what it means
            _read_all(Path(os.fsdecode(name)), keys, lambda: answers.write(PROGRESS))
        answers.write(DONE)


def _read_all(path: Path, keys: Sequence[str], progress: Callable[[], Any]) -> None:
    from store.sources.hdf5_storage import SIMULATION, check_storage, find_dataset, has_link, opened

    with opened(path) as file:
        list(file)
        for key in keys:
            progress()
            with contextlib.suppress(Exception):
                if has_link(file, key):
                    dataset = find_dataset(file, path, key)
                    check_storage(dataset, path)
                    if dataset.ndim == 1 or (dataset.ndim == 2 and dataset.shape[1] <= MOST_COLUMNS):
                        rows = max(1, PIECE // max(1, dataset.dtype.itemsize * math.prod(dataset.shape[1:])))
                        for start in range(0, dataset.shape[0], rows):
                            dataset[start : start + rows]
                            progress()
        progress()
        file.attrs.get(SIMULATION)
