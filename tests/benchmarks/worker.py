"""A process that measures the readers of one module, so that no process loads two frameworks.

``python -m tests.benchmarks.worker MODULE STORE FOLDER DATASET IMAGES BATCH`` first writes a line of JSON with the
module's readers, then answers each line of JSON on its standard input with a line on its standard output.
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
from tests.benchmarks.reader import Place, RemotePlace

Epochs = Callable[[int], Iterable[Any]]


def main(module: str, store: str, folder: str, dataset: str, images: str, batch: str) -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # keeps what libraries print apart from the answers

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
    """Carries out commands: every public method is one."""

    def __init__(self, contents: ModuleType, place: Place) -> None:
        self._contents, self._place = contents, place
        self._opened: dict[str, Epochs] = {}

    def write(self) -> dict[str, Any]:
        """Write the images in the module's own format, if it has one."""
        if hasattr(self._contents, "write"):
            self._place.folder.mkdir(parents=True)
            self._contents.write(self._place)
        return {}

    def connect(self, reader: str, address: str, cache: str, cache_bytes: int | None) -> dict[str, Any]:
        """Open a reader over a link, with an empty cache, and return how long that took."""
        self._opened.clear()
        gc.collect()
        here = {name: getattr(self._place, name) for name in ("store", "folder", "images", "batch")}
        self._place = RemotePlace(**here, address=address, cache=Path(cache), cache_bytes=cache_bytes)
        began = time.perf_counter()
        self._open(reader)
        return {"seconds": time.perf_counter() - began}

    def forget(self) -> dict[str, Any]:
        """Close all readers."""
        self._opened.clear()
        gc.collect()
        return {}

    def check(self, reader: str, epoch: int) -> dict[str, Any]:
        """Run an epoch and assert that it delivers every image exactly once and unchanged."""
        images, seen = self._place.images, []
        for batch in self._open(reader)(epoch):
            delivered = np.asarray(batch)
            rows = rows_of(delivered)
            assert delivered.dtype == np.float32, f"{reader} delivers {delivered.dtype}"
            assert 0 <= rows.min() <= rows.max() < images.count, f"{reader}: rows {rows.min()} to {rows.max()}"
            assert np.array_equal(delivered, images.take(rows)), (
                f"{reader} delivers images that differ from the originals"
            )
            seen.append(rows)
        order = np.concatenate(seen)
        assert np.array_equal(np.sort(order), np.arange(images.count)), f"{reader} does not deliver every image once"
        return {"in_order": bool(np.all(np.diff(order) == 1))}

    def time(self, reader: str, epoch: int) -> dict[str, Any]:
        """Time an epoch for a consumer that does nothing with the batches."""
        epochs = self._open(reader)
        gc.collect()
        first, images = 0.0, 0
        began = time.perf_counter()
        for batch in epochs(epoch):
            first = first or time.perf_counter() - began
            images += len(batch)
        return {"seconds": time.perf_counter() - began, "images": images, "first": first, "resident": resident_bytes()}

    def cold(self, reader: str, epoch: int) -> dict[str, Any]:
        """Time an epoch after dropping the store's files from the page cache."""
        self._opened.clear()  # pages of a mapped file cannot be dropped
        gc.collect()
        drop_cache(self._place.store)
        before = disk_bytes()
        return {**self.time(reader, epoch), "from_disk": disk_bytes() - before}

    def watch(self, reader: str, epoch: int) -> dict[str, Any]:
        """Run an epoch and return the resident memory before it and the largest one while a batch is held."""
        gc.collect()
        before = resident_bytes()
        return {"resident": max(resident_bytes() for _ in self._open(reader)(epoch)), "before": before}

    def _open(self, reader: str) -> Epochs:
        if reader not in self._opened:
            self._opened[reader] = self._contents.READERS[reader].open(self._place)
        return self._opened[reader]


def resident_bytes() -> int:
    """Return the anonymous resident memory of this process, mapped files left out."""
    return 1024 * number_after("RssAnon:", Path("/proc/self/status"))


def disk_bytes() -> int:
    """Return the bytes that the kernel has read from disks for this process so far."""
    return number_after("read_bytes:", Path("/proc/self/io"))


def number_after(name: str, path: Path) -> int:
    return next(int(line.split()[1]) for line in path.read_text().splitlines() if line.startswith(name))


def drop_cache(folder: Path) -> None:
    """Ask the kernel to drop the files of a folder from the page cache."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())  # dirty pages are not dropped
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


if __name__ == "__main__":
    main(*sys.argv[1:])
