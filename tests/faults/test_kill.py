"""An ingest that is killed at any moment leaves no store or a complete one, and can be resumed."""

import contextlib
import shutil
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from ingest.executors import ThreadExecutor
from ingest.verify import verify
from store.opening import open_store
from tests.faults.conftest import Undisturbed, refusal
from tests.faults.program import start

STAGES = ("spool", "shards", "tables", "statistics", "publish")
FULL = pytest.mark.faults


def points(count: int, reduced: int) -> Sequence[object]:
    """Return the numbers of kill points; those from `reduced` on run only with ``--faults``."""
    return [*range(reduced), *(pytest.param(point, marks=FULL) for point in range(reduced, count))]


def stage_of(change: str) -> str:
    if "/spool" in change:
        return "spool"
    if "/store/image/.c." in change:
        return "shards"
    return "statistics" if ".store.statistics" in change else "tables"


def step_in(changes: Sequence[str], stage: str, random: np.random.Generator) -> int:
    """Return the number of a random step of a stage, from 1."""
    published = max(step for step, change in enumerate(changes) if change.startswith("os.rename"))
    stages = [stage_of(change) for change in changes[:published]] + ["publish"] * (len(changes) - published)
    return 1 + int(random.choice([step for step, name in enumerate(stages) if name == stage]))


def identities(folder: Path, pattern: str) -> dict[Path, tuple[int, int]]:
    """Return inode and modification time of files, which change if a file is written again."""
    found = {path.relative_to(folder): path.stat() for path in folder.glob(pattern)}
    return {path: (status.st_ino, status.st_mtime_ns) for path, status in found.items()}


def stretch_of(change: str) -> str:
    """Return the number of the stretch to which a changed file of the spool, perhaps a partial one, belongs."""
    return Path(change.split()[-1]).name.removeprefix(".")[:6]


def check_rerun(undisturbed: Undisturbed, notes: Path, store: Path, *options: str) -> None:
    """Run the program again after it was killed, and check that it does not repeat finished work."""
    staging = store.with_name(f".{store.name}.ingest")
    shards = identities(staging / "store" / "image", "c.*.0.0.0")
    stretches = {path.name[:6] for path in staging.glob("spool/??????.json")} if (staging / "store").exists() else set()
    complete = store.exists()
    if complete:
        assert verify(store, [], ThreadExecutor(count=2)).problems == ()
    rerun = start(notes, *undisturbed.words, "--output", store, *options)
    if complete and not options:
        assert "already exists" in refusal(rerun)
    else:
        assert rerun.wait() == 0, rerun.output
        assert identities(store / "image", "c.*").items() >= shards.items()
        written = {stretch_of(change) for change in rerun.changes if "/spool/" in change}
        assert not written & stretches
    undisturbed.check(store)


@pytest.mark.parametrize("point", points(40, 5))
def test_killed_at_a_step(undisturbed: Undisturbed, tmp_path: Path, notes: Path, point: int) -> None:
    step = step_in(undisturbed.changes, STAGES[point % len(STAGES)], np.random.default_rng(point))
    store = tmp_path / "showers.zarr"
    run = start(notes, *undisturbed.words, "--output", store, end=step)
    assert run.wait() == -signal.SIGKILL
    check_rerun(undisturbed, notes, store)


@pytest.mark.parametrize("point", points(10, 1))
def test_killed_at_a_time(undisturbed: Undisturbed, tmp_path: Path, notes: Path, point: int) -> None:
    store = tmp_path / "showers.zarr"
    run = start(notes, *undisturbed.words, "--output", store)
    time.sleep(undisturbed.seconds * np.random.default_rng(point).random())
    with contextlib.suppress(ProcessLookupError):  # the program may have ended before it could be killed
        run.kill()
    assert run.wait() in (-signal.SIGKILL, 0)
    check_rerun(undisturbed, notes, store)


@pytest.fixture(scope="module")
def old(undisturbed: Undisturbed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store that is to be replaced."""
    store = tmp_path_factory.mktemp("old") / "showers.zarr"
    run = start(tmp_path_factory.mktemp("notes"), *undisturbed.words, "--output", store, "--seed", "1")
    assert run.wait() == 0, run.output
    return store


@pytest.mark.parametrize(
    ("end", "left"),
    [
        (r"os.rename .*/\.showers\.zarr\.ingest/store$", "none"),
        (r"os.remove SHA256SUMS", "new"),
        pytest.param(r"open .*/\.c\.5\.0\.0\.", "old", marks=FULL),
        pytest.param(r"os.rename .*/showers\.zarr$", "old", marks=FULL),
        pytest.param(r"os.remove .*/ingest\.json$", "new", marks=FULL),
    ],
)
def test_killed_while_replacing_a_store(
    undisturbed: Undisturbed, old: Path, tmp_path: Path, notes: Path, end: str, left: str
) -> None:
    store = shutil.copytree(old, tmp_path / "showers.zarr")
    run = start(notes, *undisturbed.words, "--output", store, "--overwrite", end=end)
    assert run.wait() == -signal.SIGKILL
    digests = {"old": open_store(old).digest, "new": open_store(undisturbed.store).digest}
    assert store.exists() == (left != "none")
    if left != "none":
        assert open_store(store).digest == digests[left]
    check_rerun(undisturbed, notes, store, "--overwrite")


def test_an_old_store_comes_back_if_its_replacement_is_refused(
    undisturbed: Undisturbed, old: Path, tmp_path: Path, notes: Path
) -> None:
    store = shutil.copytree(old, tmp_path / "showers.zarr")
    between = r"os.rename .*/\.showers\.zarr\.ingest/store$"
    run = start(notes, *undisturbed.words, "--output", store, "--overwrite", end=between)
    assert run.wait() == -signal.SIGKILL
    assert not store.exists()
    assert "already exists" in refusal(start(notes, *undisturbed.words, "--output", store))
    assert open_store(store).digest == open_store(old).digest
    check_rerun(undisturbed, notes, store, "--overwrite")
