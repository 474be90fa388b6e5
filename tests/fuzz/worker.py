"""A process that tries cases one after another: ``python -m tests.fuzz.worker MATERIAL FOLDER``.

Each line of standard input is a case, ``TARGET NUMBER``. The process answers with two lines of JSON: the damage, which
it prints before it reads the damaged input, and the verdict.
"""

import contextlib
import faulthandler
import json
import logging
import os
import resource
import shutil
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.fuzz.forked import Forked
from tests.fuzz.material import write_material
from tests.fuzz.targets import TARGETS
from tests.fuzz.verdict import judge

ROOM = 2 << 30  # bytes of memory that a case may take
SVG = '<svg viewBox="0 0 1 1"></svg>'
VERIFIES, TOLERANT = {"store-verify"}, {"store-report"}


def limit_memory() -> None:
    """Limit the memory of this process to `ROOM` more than it uses now."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + ROOM
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.getrlimit(resource.RLIMIT_AS)[1]))


def set_up() -> None:
    """Make reading quick: with a trivial model, and without drawing figures, which takes most of a report's time."""
    from matplotlib.figure import Figure

    from store import layout, run_folder
    from store.sources import probe

    layout.CHUNK_BYTES, layout.SHARD_BYTES = 1 << 16, 1 << 17  # 8 showers in a chunk, 16 in a shard: several of each
    probe.PATIENCE = 5.0
    probe.subprocess = SimpleNamespace(PIPE=subprocess.PIPE, Popen=Forked)  # type: ignore[assignment]
    run_folder.SCORERS.update(dict.fromkeys(run_folder.SCORERS, "tests.fuzz.scorer"))
    Figure.savefig = lambda self, path, **_: Path(path).write_text(SVG)  # type: ignore[method-assign,assignment]
    warnings.simplefilter("ignore")
    # asyncio reports unhandled errors of zarr's tasks only during some later case.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)


class Cases:
    """Tries cases, and remembers the results of reading the undamaged inputs.

    Parameters
    ----------
    material
        Folder with the undamaged inputs, which are made if they are missing.
    folder
        Folder in which the running case has a folder of its own.
    """

    def __init__(self, material: Path, folder: Path) -> None:
        self.material, self.folder = material, folder
        self._expected: dict[tuple[str, str], Any] = {}
        material.mkdir(parents=True, exist_ok=True)
        write_material(material)

    def expected(self, name: str, number: int) -> Any:
        """Return the result of reading the undamaged input of a case."""
        target = TARGETS[name]
        key = name, target.input(number)
        if key not in self._expected:
            with self._place() as place:
                reading = target.read(place, target.prepare(self.material, place, number))
            assert reading.outcome.status == 0, f"{name}: the undamaged input fails: {reading.outcome}"
            self._expected[key] = reading.made
        return self._expected[key]

    def run(self, name: str, number: int, answer: Callable[[Any], None]) -> None:
        """Try a case; print the damage, and then the case and the verdict."""
        target, expected = TARGETS[name], self.expected(name, number)
        began = time.perf_counter()
        with self._place() as place:
            victim = target.prepare(self.material, place, number)
            damage = target.damage(name, number, victim)
            answer(damage.note)
            limit_memory()
            reading = target.read(place, victim)
            rules = {"verifies": name in VERIFIES, "tolerant": name in TOLERANT}
            kind, words = judge(reading, damage, victim, expected, **rules, partner=target.partner)
        seconds = round(time.perf_counter() - began, 2)
        case = {"target": name, "number": number, "kind": kind, "damage": damage.note}
        answer({**case, "words": words, "seconds": seconds})

    @contextlib.contextmanager
    def _place(self) -> Any:
        """Give a folder that always has the same path, so that results that name it are the same."""
        place = self.folder / "place"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        os.chdir(place)
        try:
            yield place
        finally:
            os.chdir(self.folder)
            shutil.rmtree(place, ignore_errors=True)


def main(material: str, folder: str) -> None:
    faulthandler.enable()
    set_up()
    cases = Cases(Path(material), Path(folder))
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # keeps what libraries print apart from the answers
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        name, number = line.split()
        cases.run(name, int(number), lambda value: print(json.dumps(value), file=answers, flush=True))


if __name__ == "__main__":
    main(*sys.argv[1:])
