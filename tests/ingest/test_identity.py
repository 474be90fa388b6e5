"""Sources that take values from other files: virtual datasets, links and external storage."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import zarr

from ingest import convert
from ingest.identity import source_names
from store.datasets import ELECTRON_PHOTON
from store.digests import write_digests
from store.sources.hdf5 import Hdf5Source
from tests.examples import run_ingest, showers, write_hdf5

ROWS = 60


def virtual(folder: Path, images: np.ndarray) -> Path:
    """Write photons whose images are in two other files."""
    path, half = folder / "photons.h5", len(images) // 2
    layout = h5py.VirtualLayout(images.shape, "f4")
    for number in range(2):
        rows = slice(number * half, (number + 1) * half)
        part = write_hdf5(folder / "parts" / f"part{number}.h5", images[rows], 0)
        layout[rows] = h5py.VirtualSource(f"parts/{part.name}", "X", images[rows].shape)
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("X", layout)
        file["y"] = np.zeros(len(images), np.float32)
    return path


def external(folder: Path, images: np.ndarray) -> Path:
    """Write photons whose images are in two raw files."""
    path, half = folder / "photons.h5", images.nbytes // 2
    parts = [folder / "parts" / f"part{number}.raw" for number in range(2)]
    for part, start in zip(parts, (0, half), strict=True):
        part.write_bytes(images.tobytes()[start : start + half])
    with h5py.File(path, "w") as file:
        file.create_dataset("X", images.shape, "f4", external=[(str(part), 0, half) for part in parts])
        file["y"] = np.zeros(len(images), np.float32)
    return path


def linked(folder: Path, images: np.ndarray) -> Path:
    """Write photons whose images and labels are links into two other files."""
    path = folder / "photons.h5"
    write_hdf5(folder / "parts" / "part0.h5", images, 0)
    write_hdf5(folder / "parts" / "part1.h5", images[:1], np.zeros(len(images)))
    with h5py.File(path, "w") as file:
        file["X"] = h5py.ExternalLink("parts/part0.h5", "X")
        file["y"] = h5py.ExternalLink("parts/part1.h5", "y")
    return path


KINDS = pytest.mark.parametrize("make", [virtual, external, linked])


@pytest.fixture
def electrons(tmp_path):
    (tmp_path / "parts").mkdir()
    return write_hdf5(tmp_path / "electrons.h5", showers(ROWS, 1), 1)


def ingest(tmp_path, *words):
    return run_ingest(*words, "--output", tmp_path / "out.zarr")


def flip_last_value(path: Path) -> None:
    """Change the content of a file and keep its size and structure."""
    if path.suffix == ".raw":
        content = np.fromfile(path, np.float32)
        content[-1] += 1
        content.tofile(path)
    else:
        with h5py.File(path, "a") as file:
            file["X"][-1, 31, 31, 0] += 1


def replace_in_disguise(path: Path) -> None:
    """Put another file of the same size and time in the place of a file."""
    other, before = path.with_name("other" + path.suffix), path.stat()
    shutil.copy(path, other)
    flip_last_value(other)
    assert other.stat().st_size == before.st_size
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(path)


@KINDS
def test_the_store_records_the_other_files_and_verify_knows_them(electrons, tmp_path, make):
    images = showers(ROWS)
    photons = make(tmp_path, images)
    outcome = ingest(tmp_path, photons, electrons)
    assert outcome.status == 0, outcome.err
    group = zarr.open_group(tmp_path / "out.zarr", mode="r")
    first, second = group.attrs["sources"]
    assert [part["name"] for part in first["parts"]] == [
        f"parts/{path.name}" for path in sorted((tmp_path / "parts").iterdir())
    ]
    for part in first["parts"]:
        content = (tmp_path / part["name"]).read_bytes()
        assert (part["size"], part["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    assert "parts" not in second
    own = group["source_file"][:] == 0
    assert np.array_equal(group["image"][:][own], images[group["source_row"][:][own]])
    assert "and 2 files that it takes values from" in run_ingest("info", tmp_path / "out.zarr").out
    verified = run_ingest("verify", tmp_path / "out.zarr", photons, electrons)
    assert verified.status == 0, verified.err
    assert "120 images equal to their sources" in verified.out


@KINDS
@pytest.mark.parametrize("damage", ["changed", "lost", "replaced"])
def test_verify_notices_another_file_that_is_not_as_it_was(electrons, tmp_path, make, damage):
    photons = make(tmp_path, showers(ROWS))
    assert ingest(tmp_path, photons, electrons).status == 0
    part = sorted((tmp_path / "parts").iterdir())[0]
    if damage == "lost":
        part.unlink()
    elif damage == "changed":
        flip_last_value(part)
    else:
        other = tmp_path / "other"
        (other / "parts").mkdir(parents=True)
        make(other, showers(ROWS, 7))
        shutil.copy(other / "parts" / part.name, part)
    outcome = run_ingest("verify", tmp_path / "out.zarr", photons, electrons)
    assert outcome.status == 1
    assert part.name in outcome.err
    expected = "does not exist" if damage == "lost" else "matches none of the 2 files from which"
    assert expected in outcome.err


@KINDS
@pytest.mark.parametrize("damage", ["changed", "replaced", "lost"])
def test_another_file_that_changes_while_it_is_read_is_noticed(electrons, tmp_path, make, damage, monkeypatch):
    photons = make(tmp_path, showers(ROWS))
    part = sorted((tmp_path / "parts").iterdir())[0]
    spill = convert._spill_images

    def spill_and_damage(*arguments):
        spilled = spill(*arguments)
        if damage == "lost":
            part.unlink()
        elif damage == "changed":
            flip_last_value(part)
        else:
            replace_in_disguise(part)
        return spilled

    monkeypatch.setattr(convert, "_spill_images", spill_and_damage)
    outcome = ingest(tmp_path, photons, electrons)
    assert outcome.status == 1
    how = "removed" if damage == "lost" else "changed"
    assert outcome.err.endswith(f"error: {part}: was {how} while it was read\n")
    assert not [path for path in tmp_path.iterdir() if "out.zarr" in path.name]


def test_an_interrupted_ingest_is_not_resumed_with_another_part(electrons, tmp_path, monkeypatch):
    photons = virtual(tmp_path, showers(ROWS))

    def fail(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("ingest.completion.write_tables", fail)
        assert ingest(tmp_path, photons, electrons).status == 1
    flip_last_value(tmp_path / "parts" / "part1.h5")
    outcome = ingest(tmp_path, photons, electrons)
    assert outcome.status == 1
    assert "an interrupted ingest has sources[0]=" in outcome.err
    assert "parts/part1.h5" in outcome.err


def test_a_part_that_is_given_as_a_source_too_is_refused(electrons, tmp_path):
    photons = virtual(tmp_path, showers(ROWS))
    outcome = ingest(tmp_path, photons, electrons, tmp_path / "parts" / "part1.h5")
    assert outcome.status == 1
    assert "photons.h5: takes values from" in outcome.err
    assert "part1.h5, which is given as a source too" in outcome.err


def test_equal_virtual_files_with_different_parts_are_different_sources(electrons, tmp_path):
    paths = []
    for number in (2, 3):
        (tmp_path / str(number) / "parts").mkdir(parents=True)
        paths.append(virtual(tmp_path / str(number), showers(ROWS, number)))
    assert paths[0].read_bytes() == paths[1].read_bytes()
    outcome = ingest(tmp_path, *paths, electrons)
    assert outcome.status == 0, outcome.err
    verified = run_ingest("verify", tmp_path / "out.zarr", paths[1], paths[0])
    assert verified.status == 0, verified.err
    assert "120 of 180 images equal" in verified.out
    (tmp_path / "same").mkdir()
    shutil.copytree(tmp_path / "2", tmp_path / "4")
    outcome = run_ingest(*paths, electrons, tmp_path / "4" / "photons.h5", "--output", tmp_path / "same" / "out.zarr")
    assert outcome.status == 1
    assert f"4/photons.h5: has the same content as {paths[0]}" in outcome.err


def test_a_store_that_records_no_parts_is_compared_all_the_same(electrons, tmp_path):
    """Stores of virtual datasets that an earlier version made have no record of other files."""
    photons = virtual(tmp_path, showers(ROWS))
    assert ingest(tmp_path, photons, electrons).status == 0
    path = tmp_path / "out.zarr" / "zarr.json"
    metadata = json.loads(path.read_text())
    del metadata["attributes"]["sources"][0]["parts"]
    path.write_text(json.dumps(metadata))
    write_digests(tmp_path / "out.zarr")
    outcome = run_ingest("verify", tmp_path / "out.zarr", photons)
    assert outcome.status == 0, outcome.err
    assert "60 of 120 images equal" in outcome.out


def test_paths_are_absolute_and_without_the_file_itself(tmp_path, monkeypatch):
    (tmp_path / "parts").mkdir()
    linked(tmp_path, showers(ROWS))
    monkeypatch.chdir(tmp_path)
    source = Hdf5Source(Path("photons.h5"), ELECTRON_PHOTON)
    assert source.other_files == (tmp_path / "parts" / "part0.h5", tmp_path / "parts" / "part1.h5")


def test_files_of_one_name_are_named_by_what_their_folders_differ_in(tmp_path):
    for folder, label in (("a/run", 0), ("b/run", 1)):
        (tmp_path / folder).mkdir(parents=True)
        write_hdf5(tmp_path / folder / "x.hdf5", showers(ROWS, label), label)
    paths = [tmp_path / "a" / "run" / "x.hdf5", tmp_path / "b" / "run" / "x.hdf5"]
    outcome = ingest(tmp_path, *paths)
    assert outcome.status == 0, outcome.err
    attributes = zarr.open_group(tmp_path / "out.zarr", mode="r").attrs
    assert [source["name"] for source in attributes["sources"]] == ["a/run/x.hdf5", "b/run/x.hdf5"]
    verified = run_ingest("verify", tmp_path / "out.zarr", *reversed(paths))
    assert verified.status == 0, verified.err
    assert "120 images equal" in verified.out


def test_names_are_plain_unless_they_repeat():
    assert source_names([Path("/a/x.h5"), Path("/b/y.h5")]) == ["x.h5", "y.h5"]
    assert source_names([Path("/a/x.h5"), Path("/a/b/x.h5"), Path("/a/b/y.h5")]) == ["x.h5", "b/x.h5", "b/y.h5"]
    assert source_names([Path("/a/b/../x.h5"), Path("/a/b/../c/x.h5")]) == ["x.h5", "c/x.h5"]
