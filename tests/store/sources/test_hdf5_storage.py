"""HDF5 files that are incomplete, refer to what is not there, or promise more than they hold."""

import os
import shutil
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from evaluate.images import open_images
from store.datasets import ELECTRON_PHOTON
from store.errors import SourceError
from store.sources import memory, open_source, open_sources, probe
from store.sources.hdf5_storage import list_unread
from tests.examples import run_ingest, showers, write_hdf5

IMAGES = showers(20)
HANG = Path(__file__).parent / "data" / "hang.hdf5"


def virtual(folder, parts=2):
    """Write a file whose images and labels are virtual datasets over two others, and return its path."""
    path = folder / "all.h5"
    layouts = {"X": h5py.VirtualLayout((20, 32, 32, 2), "f4"), "y": h5py.VirtualLayout((20,), "f4")}
    for part in range(parts):
        rows = slice(10 * part, 10 * part + 10)
        file = write_hdf5(folder / f"part{part}.h5", IMAGES[rows], 1, chunks=(5, 32, 32, 2))
        for key, layout in layouts.items():
            layout[rows] = h5py.VirtualSource(file.name, key, (10, *layout.shape[1:]))
    with h5py.File(path, "w", libver="latest") as file:
        for key, layout in layouts.items():
            file.create_virtual_dataset(key, layout)
    return path


def refused(path, *words):
    """Make sure that ingest and scoring refuse a file with one message that has these words."""
    for opening in (lambda: open_sources([path], ELECTRON_PHOTON), lambda: open_images(path, ELECTRON_PHOTON)):
        with pytest.raises(SourceError) as caught:
            opening()
        for word in (str(path), *words):
            assert word in str(caught.value)


def test_a_virtual_dataset_is_read_and_its_parts_are_known(tmp_path):
    source = open_source(virtual(tmp_path), ELECTRON_PHOTON)
    assert np.array_equal(source.read(0, 20), IMAGES)
    assert source.other_files == (tmp_path / "part0.h5", tmp_path / "part1.h5")


def test_a_virtual_dataset_without_one_of_its_files_is_refused(tmp_path):
    path = virtual(tmp_path)
    (tmp_path / "part1.h5").unlink()
    refused(path, "X is a virtual dataset", "part1.h5", "does not exist")


def test_a_virtual_dataset_with_a_part_that_is_too_short_is_refused(tmp_path):
    path = virtual(tmp_path)
    write_hdf5(tmp_path / "part1.h5", IMAGES[:5], 1)
    refused(path, "part1.h5", "less than is taken from it")


def test_a_virtual_dataset_that_leaves_rows_out_is_refused(tmp_path):
    refused(virtual(tmp_path, parts=1), "parts hold 20480 of its 40960 values")


@pytest.mark.parametrize("key", ["X", "y"])
@pytest.mark.parametrize(
    ("link", "words"),
    [
        (h5py.ExternalLink("gone.hdf5", "Z"), ("'Z'", "gone.hdf5", "does not exist")),
        (h5py.SoftLink("/gone"), ("'/gone'", "cannot be opened")),
    ],
)
def test_a_link_that_leads_nowhere_is_named_with_its_target(tmp_path, key, link, words):
    path = write_hdf5(tmp_path / "a.hdf5", IMAGES, 1)
    with h5py.File(path, "a") as file:
        del file[key]
        file[key] = link
    refused(path, f"{key} is a link to", *words)


def test_external_storage_that_is_missing_or_short_is_refused(tmp_path):
    path = write_hdf5(tmp_path / "a.hdf5", IMAGES, 1)
    with h5py.File(path, "a") as file:
        del file["X"]
        file.create_dataset("X", IMAGES.shape, "f4", external=[(str(tmp_path / "raw"), 0, IMAGES.nbytes)])
    refused(path, "X is stored in", "does not exist")
    (tmp_path / "raw").write_bytes(IMAGES.tobytes())
    source = open_source(path, ELECTRON_PHOTON)
    assert np.array_equal(source.read(0, 20), IMAGES)
    os.truncate(tmp_path / "raw", 1000)
    refused(path, "X is stored in", "shorter than")


@pytest.mark.parametrize("key", ["X", "y"])
def test_a_file_that_promises_many_rows_is_refused_before_they_are_allocated(tmp_path, key):
    path = write_hdf5(tmp_path / "a.hdf5", IMAGES, 1)
    rows = 10**10
    with h5py.File(path, "a") as file:
        del file["X"], file["y"]
        file.create_dataset("X", (rows, 32, 32, 2), "f4", chunks=(50, 32, 32, 2), compression="gzip")
        file.create_dataset("y", (rows,), "u1", chunks=(1 << 20,), compression="gzip")
    refused(path, "X: rows 0 to 9999999999 were never written; the file has 0 of 200000000 chunks")


def test_labels_that_were_never_written_are_refused(tmp_path):
    path = write_hdf5(tmp_path / "a.hdf5", IMAGES, 1)
    with h5py.File(path, "a") as file:
        del file["y"]
        file.create_dataset("y", (20,), "u1")
    refused(path, "y was never written")


def test_rows_that_do_not_fit_the_memory_are_refused(tmp_path, monkeypatch):
    path = write_hdf5(tmp_path / "a.hdf5", IMAGES, 1)
    monkeypatch.setattr(memory, "ROW_BYTES", 1 << 50)
    refused(path, "20 rows need", "GB of memory, this machine has")


@pytest.mark.parametrize(
    ("value", "simulated"),
    [
        (np.bytes_("My simulation"), "My simulation"),
        (np.array([b"one", b"two"]), "one, two"),
        (np.array(["one", "two"], h5py.string_dtype()), "one, two"),
        ("\x1b]0;title\x07\x1b[2JGeant4", r"\x1b]0;title\x07\x1b[2JGeant4"),
        (np.bytes_(b"\xff"), r"\xff"),
        ("two\nlines", "two lines"),
        (h5py.Empty("f4"), ""),
    ],
)
def test_an_attribute_becomes_text_without_control_characters(tmp_path, value, simulated):
    path = write_hdf5(tmp_path / "a.hdf5", IMAGES, 1)
    with h5py.File(path, "a") as file:
        file.attrs["simulation"] = value
    assert open_source(path, ELECTRON_PHOTON).simulated == simulated


def test_an_attribute_that_is_no_text_is_refused(tmp_path):
    path = write_hdf5(tmp_path / "a.hdf5", IMAGES, 1)
    with h5py.File(path, "a") as file:
        file.attrs["simulation"] = 5
    with pytest.raises(SourceError, match=r"a\.hdf5: the attribute 'simulation' is .*5.*, expected text"):
        _ = open_source(path, ELECTRON_PHOTON).simulated


def test_a_read_that_does_not_end_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(probe, "PATIENCE", 3.0)
    path = Path(shutil.copy(HANG, tmp_path / "electrons.hdf5"))
    refused(path, "is damaged: reading it does not end")
    outcome = run_ingest(path, "--output", tmp_path / "a.zarr")
    assert outcome.status == 1
    assert outcome.err.startswith(f"error: {path}: is damaged")
    assert [file.name for file in tmp_path.iterdir()] == ["electrons.hdf5"]


def test_a_read_that_crashes_is_given_up_and_names_the_file(tmp_path, monkeypatch):
    good = write_hdf5(tmp_path / "a.hdf5", IMAGES, 1)
    crash = "import os; os.write(1, b'..\\n'); os.kill(os.getpid(), 11)"
    monkeypatch.setattr(probe, "PROGRAM", crash)
    with pytest.raises(SourceError, match=r"b\.hdf5: HDF5 crashes when it reads this file \(SIGSEGV\)"):
        probe.probe([good, tmp_path / "b.hdf5"], ["X"])


def test_the_time_without_progress_counts_and_not_the_whole_time(tmp_path, monkeypatch):
    slow = "import os, time; [(os.write(1, b'.'), time.sleep(0.3)) for _ in range(8)]; os.write(1, b'\\n')"
    monkeypatch.setattr(probe, "PROGRAM", slow)
    monkeypatch.setattr(probe, "PATIENCE", 2.0)
    began = time.monotonic()
    probe.probe([tmp_path / "a.hdf5"], ["X"])
    assert time.monotonic() - began > 2


def test_what_is_not_read_is_named_also_within_a_group_of_which_something_is_read(tmp_path):
    with h5py.File(tmp_path / "groups.h5", "w") as file:
        for name in ("events/image", "events/kind", "events/track/pt", "events/track/eta", "other/a", "other/b", "y"):
            file[name] = 0
        named = list(list_unread(file, ("events/image", "/events//kind", "events/track/pt", "missing/z", "y/z")))
        assert named == ["events/track/eta", "other", "y"]
