"""Run the fuzzers: ``python -m tests.fuzz.run TARGET NUMBER`` repeats a case, ``python -m tests.fuzz.run`` tries all.

Cases run one after another in a process of their own, which is watched: if it crashes, or is silent for too long, that
is a finding, and a fresh one takes the next case.
"""

import argparse
import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

PATIENCE = 20  # seconds for one case
START = 180  # seconds for a worker's imports, and the inputs that it makes
ENVIRONMENT = {
    "MALLOC_ARENA_MAX": "2",  # the limit is on address space, of which each thread's arena takes much
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    "MPLBACKEND": "agg",
}
Case = tuple[str, int]


class Worker:
    """A process that tries cases; see `tests.fuzz.worker`."""

    def __init__(self, folder: Path) -> None:
        self.errors = (folder / "errors").open("w+")
        command = [sys.executable, "-P", "-m", "tests.fuzz.worker", str(folder / "material"), str(folder / "cases")]
        root = str(Path(__file__).parents[2])
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            cwd=root,
            env=os.environ | ENVIRONMENT | {"PYTHONPATH": root},
        )
        self.selector = selectors.DefaultSelector()
        assert self.process.stdout
        self.selector.register(self.process.stdout, selectors.EVENT_READ)
        if self.read(START) != "ready\n":
            self.end()
            raise RuntimeError(f"the worker does not start: {self.last_words()}")

    def read(self, seconds: float) -> str | None:
        """Return the next line, empty at the end, or None if there is none in that time."""
        assert self.process.stdout
        return self.process.stdout.readline() if self.selector.select(seconds) else None

    def run(self, case: Case) -> dict[str, Any]:
        """Try a case; return what the worker says of it, or how it ended."""
        assert self.process.stdin
        name, number = case
        began = time.perf_counter()
        print(name, number, file=self.process.stdin, flush=True)
        lines = []
        while not lines or not lines[-1].startswith("{"):
            line = self.read(PATIENCE)
            if not line:
                seconds = round(time.perf_counter() - began, 2)
                kind = "hang" if line is None else "crash"
                if line == "" and self.process.wait() == 1:
                    raise RuntimeError(f"the fuzzer itself fails at {name} {number}: {self.last_words()}")
                words = f"no answer in {PATIENCE} s" if line is None else self.last_words()
                self.end()
                return {
                    "target": name,
                    "number": number,
                    "kind": kind,
                    "damage": "",
                    "words": words,
                    "seconds": seconds,
                }
            lines.append(line)
        return json.loads(lines[-1])  # type: ignore[no-any-return]

    def last_words(self) -> str:
        """Return how the process ended, and the last that it printed."""
        status = self.process.wait()
        self.errors.seek(0)
        how = signal.Signals(-status).name if status < 0 else f"status {status}"
        return f"{how}: {self.errors.read()[-1500:]}"

    def end(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()


def run_cases(cases: Iterable[Case], folder: Path, workers: list[Worker]) -> Iterator[dict[str, Any]]:
    """Try cases and yield what came of each: ``target``, ``number``, ``kind``, ``damage``, ``words``, ``seconds``.

    Parameters
    ----------
    cases
        What to try.
    folder
        For the undamaged inputs, which stay there, and for each case while it runs.
    workers
        Those that were started before: the last one goes on if it can, and new ones are added. The caller ends it.
    """
    for case in cases:
        if not workers or workers[-1].process.poll() is not None:
            workers.append(Worker(folder))
        yield workers[-1].run(case)


def choose_cases(cases_each: int | None, names: Iterable[str] = ()) -> list[Case]:
    """Return the first cases of each target, by default as many as its table says."""
    from tests.fuzz.targets import TARGETS

    chosen = list(names) or list(TARGETS)
    return [(name, number) for name in chosen for number in range(cases_each or TARGETS[name].cases)]


def describe(result: dict[str, Any]) -> str:
    """Return a finding in one line."""
    text = "{target} {number}: {kind}; {damage}; {words}".format(**result)
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


def main() -> None:
    parser = argparse.ArgumentParser(description="Run the fuzzers; findings are printed, a line each.")
    parser.add_argument("target", nargs="*", help="targets, by default all; with one TARGET NUMBER, that case alone")
    parser.add_argument("--cases", type=int, help="how many of each target, by default as its table says")
    parser.add_argument("--output", type=Path, help="also write every result there, as JSON lines")
    words = parser.parse_args()
    if len(words.target) == 2 and words.target[1].isdecimal():
        cases = [(words.target[0], int(words.target[1]))]
    else:
        cases = choose_cases(words.cases, words.target)
    kinds: Counter[tuple[str, str]] = Counter()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="calostream-fuzz-") as folder, contextlib.ExitStack() as stack:
        workers: list[Worker] = []
        stack.callback(lambda: [worker.end() for worker in workers])
        for result in run_cases(cases, Path(folder), workers):
            kinds[result["target"], result["kind"]] += 1
            if len(cases) == 1 or result["kind"] not in ("refused", "accepted"):
                print(describe(result), flush=True)
            if words.output:
                with words.output.open("a") as file:
                    print(json.dumps(result), file=file)
    print(f"{len(cases)} cases in {time.monotonic() - began:.0f} s")
    for (name, kind), count in sorted(kinds.items()):
        print(f"{name:<16} {kind:<10} {count}")


if __name__ == "__main__":
    main()
