"""Sources for the fault tests, and the store that an undisturbed ingest makes from them."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from ingest.executors import ThreadExecutor
from ingest.verify import verify
from store.digests import DIGESTS_FILE
from store.files import sha256
from store.opening import open_store
from tests.faults.program import MEMORY, Run, end_all, start
from tests.faults.showers import write_sources


@dataclass(frozen=True, kw_only=True)
class Undisturbed:
    """Sources, steps and store of an ingest that nothing disturbs."""

    store: Path
    sources: Sequence[Path]
    changes: Sequence[str]
    seconds: float

    @property
    def words(self) -> tuple[str | Path, ...]:
        """Return the arguments of the command line, except for the output."""
        return (*self.sources, "--memory", MEMORY)

    def check(self, store: Path) -> None:
        """Assert that a store is the same as the undisturbed one, and that nothing is beside it."""
        assert [path.name for path in store.parent.iterdir()] == [store.name]
        assert contents(store) == contents(self.store)
        assert open_store(store).digest == open_store(self.store).digest
        assert verify(store, self.sources, ThreadExecutor(count=2)).problems == ()


def contents(store: Path) -> dict[str, str]:
    """Return the sha256 of every file, except of two that hold the command line and therefore differ."""
    files = {file.relative_to(store).as_posix(): file for file in store.rglob("*") if file.is_file()}
    return {name: "" if name in ("zarr.json", DIGESTS_FILE) else sha256(file) for name, file in files.items()}


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    notes = tmp_path_factory.mktemp("notes")
    sources = write_sources(tmp_path_factory.mktemp("sources"))
    store = tmp_path_factory.mktemp("undisturbed") / "showers.zarr"
    assert start(notes, "--help").wait() == 0  # the first run also starts the process that others are forked from
    began = time.perf_counter()
    run = start(notes, *sources, "--memory", MEMORY, "--output", store)
    assert run.wait() == 0, run.output
    return Undisturbed(store=store, sources=sources, changes=run.changes, seconds=time.perf_counter() - began)


@pytest.fixture
def notes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Yield a folder for records of what the program prints and does."""
    folder = tmp_path_factory.mktemp("notes")
    yield folder
    end_all(folder)


def refusal(run: Run) -> str:
    """Check that a run failed with status 1, and return its one line of error."""
    assert run.wait() == 1, run.output
    assert "Traceback" not in run.output
    lines = [line for line in run.output.splitlines() if line.startswith("error: ")]
    assert run.output.splitlines()[-1:] == lines, run.output
    return lines[0]
