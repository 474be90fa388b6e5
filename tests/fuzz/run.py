"""Run the fuzzers: ``python -m tests.fuzz.run TARGET NUMBER`` repeats a case, ``python -m tests.fuzz.run`` tries all.

Cases run one after another in a separate process, which is watched; ``--workers`` says how many such processes there
are. If one crashes, or does not answer in time, that is a finding, and a new process takes the next case.
"""

import argparse
import contextlib
import json
import math
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).parents[2]
PATIENCE = 20  # seconds of processor time for one case
LONGEST = 120  # seconds for one case on a busy machine, or for one that only waits
START = 180  # seconds in which a process must be ready for its first case
ENVIRONMENT = {
    "MALLOC_ARENA_MAX": "2",  # memory is limited by address space, and each arena reserves much of it
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    "MPLBACKEND": "agg",
}
QUICK = Path("/dev/shm")  # in memory, where there is such a folder: most cases spend much of their time on files
Case = tuple[str, int]


def listen(stream: IO[str], lines: "queue.Queue[str]") -> None:
    """Put the lines that a process prints into a queue, and an empty line when it ends."""
    for line in stream:
        lines.put(line)
    lines.put("")


def processor_time(process: int) -> float:
    """Return the processor time in seconds that a process has taken; 0 for one that has ended."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Fuzzer:
    """Context manager that tries cases in one process after another: a process is replaced once it has ended.

    Parameters
    ----------
    folder
        Folder for the undamaged inputs, which are made once, and for the files of the case that is running.
    name
        Name of the subfolder for the running case; fuzzers that share a folder need different names.
    """

    def __init__(self, folder: Path, name: str = "cases") -> None:
        self.folder = folder
        self.process: subprocess.Popen[str] | None = None
        self._name = name
        self._lines: queue.Queue[str] = queue.Queue()
        self._errors = (folder / f"{name}.errors").open("w+")

    def __enter__(self) -> "Fuzzer":
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        self._errors.close()

    def run(self, case: Case) -> dict[str, Any]:
        """Try a case; return ``target``, ``number``, ``kind``, ``damage``, ``words`` and ``seconds``.

        Raises
        ------
        RuntimeError
            If the fuzzer itself fails.
        """
        process = self.start()
        assert process.stdin
        name, number = case
        began = time.perf_counter()
        with contextlib.suppress(BrokenPipeError):
            print(name, number, file=process.stdin, flush=True)
        damage = ""
        line = self._read(START)  # the first case of a target reads the undamaged input too, and compiles functions
        if line:
            damage = json.loads(line)
            line = self._read(LONGEST, PATIENCE)
        if line:
            return json.loads(line)  # type: ignore[no-any-return]
        if line is None:
            kind, words = "hang", f"no answer in {time.perf_counter() - began:.0f} s"
            self._end()
        else:
            kind, words = "crash", self._last_words(process)
            if process.returncode > 0:
                raise RuntimeError(f"the fuzzer itself fails at {name} {number}: {words}")
        seconds = round(time.perf_counter() - began, 2)
        return {"target": name, "number": number, "kind": kind, "damage": damage, "words": words, "seconds": seconds}

    def start(self) -> "subprocess.Popen[str]":
        """Return the running process, or a new one if there is none; it has made the undamaged inputs."""
        if self.process is not None and self.process.poll() is None:
            return self.process
        self._end()
        self._errors.truncate(0)
        folders = (str(self.folder / name) for name in ("material", self._name))
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "tests.fuzz.worker", *folders],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            cwd=ROOT,
            env=os.environ | ENVIRONMENT | {"PYTHONPATH": str(ROOT)},
        )
        self._lines = queue.Queue()
        assert self.process.stdout
        self._listener = threading.Thread(target=listen, args=(self.process.stdout, self._lines))
        self._listener.start()
        if self._read(START) != "ready\n":
            self.process.kill()
            raise RuntimeError(f"the fuzzer does not start: {self._last_words(self.process)}")
        return self.process

    def _read(self, seconds: float, processor_seconds: float = math.inf) -> str | None:
        """Return the next line: empty when the process has ended, None if it printed nothing in that time."""
        assert self.process
        end, limit = time.monotonic() + seconds, processor_time(self.process.pid) + processor_seconds
        while time.monotonic() < end and processor_time(self.process.pid) < limit:
            with contextlib.suppress(queue.Empty):
                return self._lines.get(timeout=min(seconds, 0.5))
        return None

    def _last_words(self, process: "subprocess.Popen[str]") -> str:
        """Return how the process ended, and the last lines that it printed."""
        status = process.wait()
        self._errors.seek(0)
        how = signal.Signals(-status).name if status < 0 else f"status {status}"
        return f"{how}: {self._errors.read()[-1500:]}"

    def _end(self) -> None:
        if self.process is not None:
            self.process.kill()
            self._listener.join()
            with contextlib.suppress(BrokenPipeError):
                self.process.communicate()
            self.process = None


def choose_cases(cases_each: int | None, names: Iterable[str] = ()) -> list[Case]:
    """Return the first cases of each target: `cases_each`, or else as many as `Target.cases` says."""
    from tests.fuzz.targets import TARGETS

    chosen = list(names) or list(TARGETS)
    return [(name, number) for name in chosen for number in range(cases_each or TARGETS[name].cases)]


def try_cases(cases: Iterable[Case], folder: Path, workers: int) -> Iterator[dict[str, Any]]:
    """Yield the results of cases in their order, as `Fuzzer.run` returns them, from several processes at once."""
    with contextlib.ExitStack() as stack:
        fuzzers = [stack.enter_context(Fuzzer(folder, f"cases-{number}")) for number in range(workers)]
        fuzzers[0].start()  # makes the undamaged inputs for all of them
        idle: queue.SimpleQueue[Fuzzer] = queue.SimpleQueue()
        for fuzzer in fuzzers:
            idle.put(fuzzer)

        def run(case: Case) -> dict[str, Any]:
            fuzzer = idle.get()
            try:
                return fuzzer.run(case)
            finally:
                idle.put(fuzzer)

        with ThreadPoolExecutor(workers) as pool:
            yield from pool.map(run, cases)


def describe(result: dict[str, Any]) -> str:
    """Return a finding in one line."""
    text = "{target} {number}: {kind}; {damage}; {words}".format(**result)
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


def main() -> None:
    parser = argparse.ArgumentParser(description="Run the fuzzers; findings are printed, a line each.")
    parser.add_argument("target", nargs="*", help="targets, by default all; with one TARGET NUMBER, that case alone")
    parser.add_argument("--cases", type=int, help="how many of each target, by default as its table says")
    parser.add_argument("--workers", type=int, default=1, help="number of processes that try cases at once")
    parser.add_argument("--output", type=Path, help="also write every result there, as JSON lines")
    words = parser.parse_args()
    if len(words.target) == 2 and words.target[1].isdecimal():
        cases = [(words.target[0], int(words.target[1]))]
    else:
        cases = choose_cases(words.cases, words.target)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the folder in memory is deleted even then
    kinds: Counter[tuple[str, str]] = Counter()
    began = time.monotonic()
    quick = QUICK if QUICK.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="calostream-fuzz-", dir=quick) as folder:
        for result in try_cases(cases, Path(folder), words.workers):
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
