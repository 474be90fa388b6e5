"""An interrupted ingest is resumed only by an ingest of the same sources and options, one at a time."""

import re
import shutil
import signal
from pathlib import Path

import pytest

from ingest.records import read_record, write_record
from store.files import LOCK, is_partial, sha256
from tests.faults.conftest import Undisturbed, refusal
from tests.faults.program import MEMORY, start
from tests.faults.showers import ROWS, write_sources
from tests.faults.test_kill import FULL, check_rerun, identities


def test_anything_else_is_refused_and_costs_nothing(undisturbed: Undisturbed, tmp_path: Path, notes: Path) -> None:
    other = write_sources(tmp_path, first=ROWS)
    first, second = undisturbed.sources
    third = shutil.copy(other[0], tmp_path / "third.hdf5")
    (tmp_path / "out").mkdir()
    store = tmp_path / "out" / "showers.zarr"
    run = start(notes, *undisturbed.words, "--output", store, end=r"open .*/\.c\.5\.0\.0\.")
    assert run.wait() == -signal.SIGKILL
    staging = tmp_path / "out" / ".showers.zarr.ingest"
    before = unfinished(staging)
    names = [f"'{path.name}, sha256 {sha256(path)}'" for path in (first, second, other[1], third)]
    for words, difference in (
        ((first, other[1]), f"sources[1]={names[1]}, this one {names[2]};"),
        ((first, second, third), f"sources[2]=None, this one {names[3]};"),
        ((second, first), f"sources[0]={names[0]}, this one {names[1]};"),
        ((first, second, "--seed", "1"), "seed=0, this one 1;"),
        ((first, second, "--split", "0.6,0.2,0.2"), "split='0.7,0.1,0.2', this one '0.6,0.2,0.2';"),
    ):
        line = refusal(start(notes, *words, "--memory", MEMORY, "--output", store))
        assert f"an interrupted ingest has {difference}" in line
        assert unfinished(staging) == before
    check_rerun(undisturbed, notes, store)


def unfinished(staging: Path) -> dict[Path, tuple[int, int]]:
    """Return inode and modification time of the files of an interrupted ingest."""
    return {path: identity for path, identity in identities(staging, "**/*").items() if path.name != LOCK}


def test_another_version_is_refused(undisturbed: Undisturbed, tmp_path: Path, notes: Path) -> None:
    store = tmp_path / "showers.zarr"
    run = start(notes, *undisturbed.words, "--output", store, end=r"open .*/\.c\.5\.0\.0\.")
    assert run.wait() == -signal.SIGKILL
    record = tmp_path / ".showers.zarr.ingest" / "ingest.json"
    ingest = read_record(record)
    here = ingest["versions"]["numcodecs"]
    ingest["versions"]["numcodecs"] = "0.1"
    write_record(record, ingest)
    line = refusal(start(notes, *undisturbed.words, "--output", store))
    assert f"an interrupted ingest has versions.numcodecs='0.1', this one '{here}';" in line


def test_what_is_not_finished_does_not_pile_up(undisturbed: Undisturbed, tmp_path: Path, notes: Path) -> None:
    spool = tmp_path / ".showers.zarr.ingest" / "spool"
    for _ in range(4):
        run = start(
            notes, *undisturbed.words, "--output", tmp_path / "showers.zarr", end=r"os.rename .*/spool/.*\.json"
        )
        assert run.wait() == -signal.SIGKILL
    assert 3 <= len(list(spool.glob("*.run"))) <= 6  # of two threads, each in a stretch of three runs
    assert 1 <= len(list(filter(is_partial, spool.iterdir()))) <= 2


def test_a_stretch_whose_runs_are_gone_or_cut_short_is_read_again(
    undisturbed: Undisturbed, tmp_path: Path, notes: Path
) -> None:
    store = tmp_path / "showers.zarr"
    run = start(notes, *undisturbed.words, "--output", store, end=r"open .*/\.c\.5\.0\.0\.")
    assert run.wait() == -signal.SIGKILL
    spool = tmp_path / ".showers.zarr.ingest" / "spool"
    next(spool.glob("000001-*.run")).unlink()
    run = next(spool.glob("000002-*.run"))
    run.write_bytes(run.read_bytes()[:-1])
    rerun = start(notes, *undisturbed.words, "--output", store)
    assert rerun.wait() == 0, rerun.output
    undisturbed.check(store)


def test_the_second_of_two_at_once_is_refused(undisturbed: Undisturbed, tmp_path: Path, notes: Path) -> None:
    store = tmp_path / "showers.zarr"
    run = start(notes, *undisturbed.words, "--output", store, stop=r"open .*/\.c\.5\.0\.0\.")
    run.wait_until_stopped()
    assert f"{store}: another ingest is making this store" in refusal(
        start(notes, *undisturbed.words, "--output", store)
    )
    run.resume()
    assert run.wait() == 0, run.output
    undisturbed.check(store)


@pytest.mark.parametrize("attempt", [0, *(pytest.param(attempt, marks=FULL) for attempt in range(1, 5))])
def test_one_of_two_that_start_together_makes_the_store(
    undisturbed: Undisturbed, tmp_path: Path, notes: Path, attempt: int
) -> None:
    store = tmp_path / "showers.zarr"
    runs = [start(notes, *undisturbed.words, "--output", store) for _ in range(2)]
    assert sorted(run.wait() for run in runs) == [0, 1]
    refused = next(run for run in runs if run.wait())
    assert re.search(r"another ingest is making this store|already exists", refusal(refused))
    undisturbed.check(store)
