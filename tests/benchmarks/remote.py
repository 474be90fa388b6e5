"""The benchmark's side of readers that run in worker processes."""

import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.benchmarks.images import Images

ROOT = Path(__file__).parents[2]


class MissingError(Exception):
    """A module needs a package that is not installed."""


class Worker:
    """A process that measures the readers of one module.

    Attributes
    ----------
    images
        Number of images that its readers deliver per epoch.
    readers
        For each reader, ``shuffling`` and ``full`` of `Reader`.

    Raises
    ------
    MissingError
        If the module needs a package that is not installed.
    RuntimeError
        If the process ends; the message holds its exit status and the end of its standard error.
    """

    def __init__(
        self, module: str, *, store: Path, folder: Path, images: Images, batch: int, python: str = sys.executable
    ) -> None:
        self._module = module
        place = map(str, (store, folder, images.dataset, images.count, batch))
        words = [python, "-m", "tests.benchmarks.worker", module, *place]
        with tempfile.NamedTemporaryFile("w", dir=folder.parent, suffix=".log", delete=False) as log:
            self._log = Path(log.name)
            self._process = subprocess.Popen(
                words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
            )
        introduction = self._answer()
        if "missing" in introduction:
            self.close()
            raise MissingError(introduction["missing"])
        self.images: int = introduction["images"]
        self.readers: dict[str, dict[str, Any]] = introduction["readers"]
        self.is_peer = ".peers." in module

    def ask(self, do: str, **command: Any) -> dict[str, Any]:
        """Send a command to the process and return its answer."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps({"do": do, **command}) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            self.close()
            status, errors = self._process.returncode, self._log.read_text()[-4000:]
            raise RuntimeError(f"{self._module}: the process ended with status {status}:\n{errors}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """Stop the process."""
        assert self._process.stdin
        assert self._process.stdout
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


@contextlib.contextmanager
def closing_all() -> Iterator[list[Worker]]:
    """Yield an empty list; at the end, close every worker in it."""
    workers: list[Worker] = []
    try:
        yield workers
    finally:
        for worker in workers:
            worker.close()


@dataclass(frozen=True, kw_only=True)
class Remote:
    """A contender in a worker process; round 0 checks the images that it delivers."""

    worker: Worker
    reader: str
    note: str
    command: str = "time"
    answers: list[dict[str, Any]] = field(default_factory=list)

    def measure(self, round_: int) -> float:
        """See `Contender.measure`."""
        if round_ == 0:
            in_order = self.worker.ask("check", reader=self.reader, epoch=0)["in_order"]
            shuffles = not self.worker.readers[self.reader]["shuffling"].startswith("not shuffled")
            assert self.worker.images < 2 or in_order != shuffles, f"{self.reader}: in order: {in_order}"
        answer = self.worker.ask(self.command, reader=self.reader, epoch=1 + round_)
        assert answer["images"] == self.worker.images
        if round_:
            self.answers.append(answer)
        return float(answer["images"] / answer["seconds"])

    def more(self) -> dict[str, Any]:
        """Return the other figures of the reader besides its rate."""
        about = self.worker.readers[self.reader]
        return {
            "full": about["full"],
            "peer": self.worker.is_peer,
            "images": self.worker.images,
            "first_ms": 1000 * self.median("first"),
        }

    def median(self, key: str) -> float:
        """Return the median of one value over all answers."""
        return statistics.median(answer[key] for answer in self.answers)
