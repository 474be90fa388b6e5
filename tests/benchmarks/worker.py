"""A process that measures the readers of one module, so that no two frameworks meet in one.

``python -m tests.benchmarks.worker MODULE STORE FOLDER DATASET IMAGES BATCH`` says which readers there are, then
answers each line of JSON on its standard input with one on its standard output.
"""

import gc
import importlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from tests.benchmarks.images import Images, rows_of
from tests.benchmarks.reader import Place

Epochs = Callable[[int], Iterable[Any]]


def main(module: str, store: str, folder: str, dataset: str, images: str, batch: str) -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints is not an answer

    def answer(**values: Any) -> None:
        answers.write(json.dumps(values) + "\n")
        answers.flush()

    try:
        contents = importlib.import_module(module)
    except ImportError as error:
        answer(missing=str(error))
        return
    count = min(int(images), getattr(contents, "MOST", sys.maxsize))
    place = Place(store=Path(store), folder=Path(folder), images=Images(count=count, dataset=dataset), batch=int(batch))
    worker = Worker(contents, place)
    answer(
        images=count,
        readers={
            name: {"shuffling": reader.shuffling, "full": reader.full} for name, reader in contents.READERS.items()
        },
    )
    for line in sys.stdin:
        command = json.loads(line)
        answer(**getattr(worker, command.pop("do"))(**command))


class Worker:
    """Does what it is told: every public method is a command."""

    def __init__(self, contents: ModuleType, place: Place) -> None:
        self._contents, self._place = contents, place
        self._opened: dict[str, Epochs] = {}

    def write(self) -> dict[str, Any]:
        """Write the images in the format of the module's own."""
        if hasattr(self._contents, "write"):
            self._place.folder.mkdir(parents=True)
            self._contents.write(self._place)
        return {}

    def check(self, reader: str, epoch: int) -> dict[str, Any]:
        """Run an epoch and assert that it delivers every image once, as it is."""
        images, seen = self._place.images, []
        for batch in self._open(reader)(epoch):
            found = np.asarray(batch)
            rows = rows_of(found)
            assert found.dtype == np.float32, f"{reader} delivers {found.dtype}"
            assert 0 <= rows.min() <= rows.max() < images.count, f"{reader}: rows {rows.min()} to {rows.max()}"
            assert np.array_equal(found, images.take(rows)), f"{reader} delivers images that are not the original ones"
            seen.append(rows)
        order = np.concatenate(seen)
        assert np.array_equal(np.sort(order), np.arange(images.count)), f"{reader} does not deliver every image once"
        return {"in_order": bool(np.all(np.diff(order) == 1))}

    def time(self, reader: str, epoch: int) -> dict[str, Any]:
        """Run an epoch for a consumer that touches nothing."""
        epochs = self._open(reader)
        gc.collect()
        first, images = 0.0, 0
        began = time.perf_counter()
        for batch in epochs(epoch):
            first = first or time.perf_counter() - began
            images += len(batch)
        return {"seconds": time.perf_counter() - began, "images": images, "first": first, "resident": resident_bytes()}

    def cold(self, reader: str, epoch: int) -> dict[str, Any]:
        """Run an epoch after the store's files have left the page cache; maps of them keep them there."""
        self._opened.clear()
        gc.collect()
        drop_cache(self._place.store)
        before = disk_bytes()
        return {**self.time(reader, epoch), "from_disk": disk_bytes() - before}

    def watch(self, reader: str, epoch: int) -> dict[str, Any]:
        """Run an epoch and find the most memory that the process had while it had a batch, and what it had before."""
        gc.collect()
        before = resident_bytes()
        return {"resident": max(resident_bytes() for _ in self._open(reader)(epoch)), "before": before}

    def _open(self, reader: str) -> Epochs:
        if reader not in self._opened:
            self._opened[reader] = self._contents.READERS[reader].open(self._place)
        return self._opened[reader]


def resident_bytes() -> int:
    """Return the resident memory of this process that is no file's."""
    return 1024 * number_after("RssAnon:", Path("/proc/self/status"))


def disk_bytes() -> int:
    """Return how much this process has made the kernel read from disks so far."""
    return number_after("read_bytes:", Path("/proc/self/io"))


def number_after(name: str, path: Path) -> int:
    return next(int(line.split()[1]) for line in path.read_text().splitlines() if line.startswith(name))


def drop_cache(folder: Path) -> None:
    """Ask the kernel to forget the content of a folder's files."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())  # pages that are not on the disk yet stay
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


if __name__ == "__main__":
    main(*sys.argv[1:])
