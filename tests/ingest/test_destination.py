"""Where a store may be made: links, folders, files, and paths that cannot be used are refused before any work."""

import os
from pathlib import Path

import pytest
import zarr

from ingest.destination import find_destination
from store.errors import StoreError
from tests.examples import run_ingest, showers, write_hdf5


@pytest.fixture
def no_work(monkeypatch):
    """Fail if a source is opened."""

    def fail(*_):
        raise AssertionError("a source was opened")

    monkeypatch.setattr("ingest.convert.open_sources", fail)


def listing(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def refused(outcome, message: str) -> None:
    assert outcome.status == 1
    (line,) = [line for line in outcome.err.splitlines() if line.startswith("error: ")]
    assert message in line


def seed(store: Path) -> int:
    return int(zarr.open_group(store, mode="r").attrs["seed"])


def test_a_dangling_link_stays_and_the_store_is_made_where_it_points(pair, tmp_path):
    (tmp_path / "link.zarr").symlink_to(tmp_path / "disk" / "real.zarr")
    outcome = run_ingest(*pair, "--output", tmp_path / "link.zarr")
    assert outcome.status == 0, outcome.err
    assert (tmp_path / "link.zarr").is_symlink()
    assert listing(tmp_path / "disk")[0] == "real.zarr"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["disk", "electrons.hdf5", "link.zarr", "photons.hdf5"]


def test_a_link_to_a_store_stays_and_the_store_behind_it_is_replaced_only_when_told(pair, tmp_path):
    (tmp_path / "disk").mkdir()
    assert run_ingest(*pair, "--output", tmp_path / "disk" / "real.zarr").status == 0
    (tmp_path / "link.zarr").symlink_to(tmp_path / "disk" / "real.zarr")
    refused(run_ingest(*pair, "--output", tmp_path / "link.zarr"), "already exists; --overwrite replaces it")
    outcome = run_ingest(*pair, "--output", tmp_path / "link.zarr", "--overwrite", "--seed", 5)
    assert outcome.status == 0, outcome.err
    assert (tmp_path / "link.zarr").is_symlink()
    assert seed(tmp_path / "disk" / "real.zarr") == 5
    assert [path.name for path in (tmp_path / "disk").iterdir()] == ["real.zarr"]


def test_a_link_to_a_folder_that_is_no_store_is_refused(pair, tmp_path, no_work):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link.zarr").symlink_to(tmp_path / "folder")
    before = listing(tmp_path)
    for words in ((), ("--overwrite",)):
        refused(run_ingest(*pair, "--output", tmp_path / "link.zarr", *words), "exists and is not a store")
    assert listing(tmp_path) == before


def test_a_link_to_itself_is_refused(pair, tmp_path, no_work):
    (tmp_path / "link.zarr").symlink_to("link.zarr")
    refused(run_ingest(*pair, "--output", tmp_path / "link.zarr"), "is a link that leads nowhere")


def test_a_source_is_no_output(pair, tmp_path, no_work):
    before = pair[1].read_bytes()
    for words in ((), ("--overwrite",)):
        refused(run_ingest(*pair, "--output", pair[1], *words), f"{pair[1]}: is the input {pair[1]}")
    assert pair[1].read_bytes() == before


def test_a_path_below_a_file_is_refused(pair, tmp_path, no_work):
    refused(run_ingest(*pair, "--output", pair[1] / "out.zarr"), f"because {pair[1]} is not a folder")


def test_a_path_inside_a_store_is_refused(pair, tmp_path, no_work):
    zarr.create_group(tmp_path / "outer.zarr", zarr_format=3)
    before = listing(tmp_path)
    output = tmp_path / "outer.zarr" / "some" / "out.zarr"
    refused(run_ingest(*pair, "--output", output), f"lies inside the Zarr store {tmp_path / 'outer.zarr'}")
    assert listing(tmp_path) == before


def test_a_folder_that_may_not_be_written_to_is_refused(tmp_path, monkeypatch):
    (tmp_path / "locked").mkdir()
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path / "locked")
    with pytest.raises(StoreError, match=r"new/out\.zarr: cannot be made, because you may not write to .*/locked"):
        find_destination(tmp_path / "locked" / "new" / "out.zarr", [])
    assert find_destination(tmp_path / "new" / "out.zarr", []) == tmp_path / "new" / "out.zarr"


def test_folders_made_for_an_ingest_that_is_refused_do_not_stay(pair, tmp_path):
    bad = write_hdf5(tmp_path / "bad.hdf5", showers(60) * float("nan"), 1)
    before = listing(tmp_path)
    for sources in ((pair[0], bad), (pair[0], tmp_path / "nothing.hdf5")):
        assert run_ingest(*sources, "--output", tmp_path / "new" / "folder" / "out.zarr").status == 1
        assert listing(tmp_path) == before


def test_a_selection_is_not_made_in_or_over_its_store(pair, tmp_path):
    assert run_ingest(*pair, "--output", tmp_path / "all.zarr").status == 0
    before = listing(tmp_path)
    select = ("select", tmp_path / "all.zarr", "--where", "source_row < 50", "--overwrite", "--output")
    refused(run_ingest(*select, tmp_path / "all.zarr"), "is the input")
    refused(run_ingest(*select, tmp_path / "all.zarr" / "part.zarr"), "lies inside the Zarr store")
    (tmp_path / "link.zarr").symlink_to("part.zarr")
    outcome = run_ingest(*select, tmp_path / "link.zarr")
    assert outcome.status == 0, outcome.err
    assert sorted({*listing(tmp_path)} - {*before})[0] == "link.zarr"
    assert (tmp_path / "link.zarr").is_symlink()
    assert (tmp_path / "part.zarr" / "zarr.json").is_file()
