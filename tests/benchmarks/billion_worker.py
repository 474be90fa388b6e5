"""Reads a store and answers commands with one line of JSON each; see `tests.benchmarks.billion`."""

import gc
import json
import sys
import time
from collections.abc import Generator
from pathlib import Path

from store.compiled.preparation import prepare
from store.opening import open_dataset, open_store
from store.stream import Batch, BatchStream

BATCH = 512
STATUS = {"resident": "VmRSS", "anonymous": "RssAnon"}


def main(path: Path, threads: int) -> None:
    stream, batches = None, None
    for line in sys.stdin:
        command, *numbers = line.split()
        if command == "start":
            answer = {"imports": memory()["resident"]}
            start = time.perf_counter()
            open_store(path)
            opened = time.perf_counter()
            prepare()
            loaded = time.perf_counter()
            stream = BatchStream(path, split="train", batch_size=BATCH, threads=threads)
            made = time.perf_counter()
            answer |= {
                "open_store": 1e3 * (opened - start),
                "code": 1e3 * (loaded - opened),
                "stream": 1e3 * (made - loaded),
            }
            answer |= memory()
            batches, answer["first"] = begin(stream)
            start = time.perf_counter()
            open_dataset(path)
            answer["open_dataset"] = 1e3 * (time.perf_counter() - start)
        elif command == "memory":
            answer = {"end" if name == "resident" else name: value for name, value in memory().items()}
        else:
            assert stream is not None
            assert batches is not None
            batches.close()
            batches, again = begin(stream)
            gc.collect()
            wall, processor = time.perf_counter(), time.process_time()
            for _ in range(int(numbers[0])):
                next(batches)
            answer = {
                "again": again,
                "warm": 1e3 * (time.perf_counter() - wall) / int(numbers[0]),
                "processor": 1e3 * (time.process_time() - processor) / int(numbers[0]),
            }
        print(json.dumps(answer), flush=True)


def begin(stream: BatchStream) -> tuple[Generator[Batch], float]:
    """Return the batches of all epochs after the next batch, and how long that one took in milliseconds."""
    start = time.perf_counter()
    batches = endless(stream)
    next(batches)
    return batches, 1e3 * (time.perf_counter() - start)


def endless(stream: BatchStream) -> Generator[Batch]:
    """Yield the batches of one epoch after another."""
    while True:
        yield from stream


def memory() -> dict[str, float]:
    """Return the memory of this process in megabytes."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {name: int(lines[field].split()[0]) * 1024 / 1e6 for name, field in STATUS.items()}


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
