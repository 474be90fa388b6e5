"""A source that becomes unreadable, or is replaced, while it is read."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.faults.conftest import Undisturbed, refusal
from tests.faults.program import MEMORY, start
from tests.faults.showers import CHUNK, ROWS, write_sources
from tests.faults.test_kill import FULL

ONE_STRETCH = "3MB"  # memory for one stretch at a time, so that no source is being read when a stretch is finished
READING = r"open .*/spool/.*\.json"  # the step just before the first stretch is finished


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Return a folder for sources and one for the store."""
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    return tmp_path / "in", tmp_path / "out"


def chunks(path: Path) -> list[h5py.h5d.StoreInfo]:
    with h5py.File(path) as file:
        return [file["X"].id.get_chunk_info_by_coord((row, 0, 0, 0)) for row in range(0, ROWS, CHUNK)]


def truncate(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def overwrite_chunks(path: Path) -> None:
    """Overwrite the last chunks, which no thread has read yet, with random bytes."""
    last = chunks(path)[-6:]
    with path.open("r+b") as file:
        for chunk in last:
            file.seek(chunk.byte_offset)
            file.write(np.random.default_rng(0).bytes(chunk.size))


def overwrite_start(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(np.random.default_rng(0).bytes(4096))


def remove(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize(
    "damage",
    [truncate, overwrite_chunks, pytest.param(overwrite_start, marks=FULL), pytest.param(remove, marks=FULL)],
)
def test_unreadable_half_way(
    undisturbed: Undisturbed, folders: tuple[Path, Path], notes: Path, damage: Callable[[Path], None]
) -> None:
    source, out = folders
    sources = write_sources(source)
    words = (*sources, "--memory", MEMORY, "--output", out / "showers.zarr")
    run = start(notes, *words, stop=READING)
    run.wait_until_stopped()
    whole = sources[1].read_bytes()
    damage(sources[1])
    run.resume()
    told = refusal(run)  # the program may have read the rows before they were damaged, and then sees the new file
    assert f"{sources[1]}: rows " in told or f"{sources[1]}: was changed while it was read" in told
    assert not (out / "showers.zarr").exists()
    sources[1].write_bytes(whole)
    rerun = start(notes, *words)
    assert rerun.wait() == 0, rerun.output
    undisturbed.check(out / "showers.zarr")


def test_other_images_that_can_be_read_are_refused(folders: tuple[Path, Path], notes: Path) -> None:
    source, out = folders
    sources = write_sources(source)
    (source / "other").mkdir()
    other = write_sources(source / "other", first=ROWS)
    run = start(notes, *sources, "--memory", ONE_STRETCH, "--output", out / "showers.zarr", stop=READING)
    run.wait_until_stopped()
    sources[1].write_bytes(other[1].read_bytes())
    run.resume()
    assert f"{sources[1]}: was changed while it was read" in refusal(run)
    assert not list(out.iterdir())


def test_a_source_written_again_alike_is_no_fault(folders: tuple[Path, Path], notes: Path) -> None:
    source, out = folders
    sources = write_sources(source)
    run = start(notes, *sources, "--memory", MEMORY, "--output", out / "showers.zarr", stop=READING)
    run.wait_until_stopped()
    sources[1].touch()
    run.resume()
    assert run.wait() == 0, run.output


@pytest.mark.parametrize("value", [np.nan, pytest.param(-np.inf, marks=FULL)])
def test_not_finite_late_in_a_file(folders: tuple[Path, Path], notes: Path, value: float) -> None:
    source, out = folders
    sources = write_sources(source)
    with h5py.File(sources[1], "r+") as file:
        file["X"][ROWS - 3, 31, 30, 1] = value
    line = refusal(start(notes, *sources, "--memory", MEMORY, "--output", out / "showers.zarr"))
    assert f"{sources[1]}: X[{ROWS - 3}, 31, 30, 1] = {value} is not finite" in line
    assert not list(out.iterdir())
