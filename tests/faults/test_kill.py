"""An ingest killed at any moment leaves no store or a complete one, and goes on from there."""

import signal
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from store.reader import open_store
from tests.faults.conftest import Undisturbed, refusal
from tests.faults.program import Run, start

STAGES = ("spool", "shards", "tables", "statistics", "publish")
FULL = pytest.mark.faults


def points(count: int, reduced: int) -> Sequence[object]:
    """Return the numbers of kill points; those from `reduced` on are for the full form."""
    return [*range(reduced), *(pytest.param(point, marks=FULL) for point in range(reduced, count))]


def stage_of(change: str) -> str:
    if "/spool" in change:
        return "spool"
    if "/store/image/c." in change:
        return "shards"
    return "statistics" if ".store.statistics" in change else "tables"


def step_in(changes: Sequence[str], stage: str, random: np.random.Generator) -> int:
    """Return the number of a random step of a stage, from 1."""
    published = max(at for at, change in enumerate(changes) if change.startswith("os.rename"))
    stages = [stage_of(change) for change in changes[:published]] + ["publish"] * (len(changes) - published)
    return 1 + int(random.choice([at for at, found in enumerate(stages) if found == stage]))


def identities(folder: Path, pattern: str) -> dict[str, tuple[int, int]]:
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.glob(pattern)}


def check_rerun(undisturbed: Undisturbed, notes: Path, store: Path, *options: str) -> None:
    """Run the program again after it was killed, and check that it does only what is left to do."""
    work = store.with_name(f".{store.name}.ingest")
    shards = identities(work, "store/image/c.*.0.0.0")
    stretches = {path.name[:6] for path in work.glob("spool/??????.json")}
    complete = store.exists()
    rerun = start(notes, *undisturbed.words, "--output", store, *options)
    if complete and not options:
        assert "already exists" in refusal(rerun)
    else:
        assert rerun.wait() == 0, rerun.output
        assert identities(store, "image/c.*").items() >= shards.items()
        written = {Path(change.split()[-1]).name[:6] for change in rerun.changes if "/spool/" in change}
        assert not written & stretches
    undisturbed.check(store)


@pytest.mark.parametrize("point", points(40, 5))
def test_killed_at_a_step(undisturbed: Undisturbed, tmp_path: Path, notes: Path, point: int) -> None:
    step = step_in(undisturbed.changes, STAGES[point % len(STAGES)], np.random.default_rng(point))
    store = tmp_path / "showers.zarr"
    run = start(notes, *undisturbed.words, "--output", store, end=step)
    assert run.wait() == -signal.SIGKILL
    check_rerun(undisturbed, notes, store)
