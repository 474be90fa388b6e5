import re

import h5py
import numpy as np
import pytest
import zarr

from tests.examples import run_ingest, showers, write_hdf5


def changed(path, at, value):
    with h5py.File(path, "a") as file:
        file["X"][at] = value


def replaced(path, key, data):
    with h5py.File(path, "a") as file:
        del file[key]
        if data is not None:
            file[key] = data


def missing(folder):
    (folder / "electrons.hdf5").unlink()
    return "electrons.hdf5: no such file"


def a_folder(folder):
    (folder / "electrons.hdf5").unlink()
    (folder / "electrons.hdf5").mkdir()
    return r"electrons.hdf5: is a folder without source files \(\.h5, \.hdf5, \.hdf, \.parquet\)"


def not_hdf5(folder):
    (folder / "electrons.hdf5").write_text("<html>404</html>")
    return r"electrons.hdf5: not a readable HDF5 file \(.*signature"


def empty(folder):
    (folder / "electrons.hdf5").write_bytes(b"")
    return "electrons.hdf5: not a readable HDF5 file"


def cut_short(folder):
    whole = (folder / "electrons.hdf5").read_bytes()
    (folder / "electrons.hdf5").write_bytes(whole[: len(whole) // 2])
    return "electrons.hdf5: not a readable HDF5 file .*truncated"


def no_images(folder):
    replaced(folder / "electrons.hdf5", "X", None)
    return r"electrons.hdf5: no dataset 'X'; the file has 'y'$"


def no_labels(folder):
    replaced(folder / "electrons.hdf5", "y", None)
    return (
        r"electrons.hdf5: no dataset 'y'; the file has 'X'; if it has no labels, --label CLASS=FILES tells its class$"
    )


def a_group_of_that_name(folder):
    replaced(folder / "electrons.hdf5", "X", None)
    with h5py.File(folder / "electrons.hdf5", "a") as file:
        file.create_group("X")
    return "electrons.hdf5: no dataset 'X'"


def no_rows(folder):
    write_hdf5(folder / "electrons.hdf5", showers(0), 1)
    return "electrons.hdf5: X has no rows"


def channel_first(folder):
    write_hdf5(folder / "electrons.hdf5", np.moveaxis(showers(60), -1, 1), 1)
    return r"electrons.hdf5: X has shape \(60, 2, 32, 32\), expected rows of \(32, 32, 2\)"


def one_image_only(folder):
    replaced(folder / "electrons.hdf5", "X", showers(1)[0])
    return r"electrons.hdf5: X has shape \(32, 32, 2\), expected rows of \(32, 32, 2\)"


def integers(folder):
    write_hdf5(folder / "electrons.hdf5", (showers(60) != 0) * (2**24 + 1), 1)
    return r"electrons.hdf5: X\[0, 0, \d+, 0\] = 16777217 is not exact in float32"


def complex_numbers(folder):
    write_hdf5(folder / "electrons.hdf5", showers(60).astype(np.complex64), 1)
    return "electrons.hdf5: X has dtype complex64, expected numbers"


def not_exact(folder):
    images = showers(60).astype(np.float64)
    images[7, 1, 2, 0] = 0.1
    write_hdf5(folder / "electrons.hdf5", images, 1)
    return r"electrons.hdf5: X\[7, 1, 2, 0\] = 0.1 is not exact in float32"


def not_a_number(folder):
    changed(folder / "electrons.hdf5", (59, 31, 31, 1), np.nan)
    return r"electrons.hdf5: X\[59, 31, 31, 1\] = nan is not finite"


def infinite(folder):
    changed(folder / "electrons.hdf5", (0, 0, 0, 0), -np.inf)
    return r"electrons.hdf5: X\[0, 0, 0, 0\] = -inf is not finite"


def another_label(folder):
    replaced(folder / "electrons.hdf5", "y", np.array([1.0] * 59 + [2.0]))
    return r"electrons.hdf5: .*59.*2.0; labels must be 0 \(photon\), 1 \(electron\)"


def a_label_that_is_no_number(folder):
    replaced(folder / "electrons.hdf5", "y", np.array([1.0] * 59 + [np.nan]))
    return r"electrons.hdf5: .*59.*nan; labels must be 0 \(photon\), 1 \(electron\)"


def labels_of_text(folder):
    replaced(folder / "electrons.hdf5", "y", np.array([b"muon"] * 60))
    return r"electrons.hdf5: y\[0\] = 'muon'; labels must be 'photon', 'electron'"


def unequal_lengths(folder):
    replaced(folder / "electrons.hdf5", "y", np.ones(59))
    return r"electrons.hdf5: X has 60 rows but y has shape \(59,\)"


def labels_of_two_columns(folder):
    replaced(folder / "electrons.hdf5", "y", np.ones((60, 2)))
    return r"electrons.hdf5: y\[0\] = \[1, 1\]; a row must have one 1 and otherwise 0, in the columns photon, electron"


def one_class_only(folder):
    replaced(folder / "photons.hdf5", "y", np.ones(60))
    return r"photons\.hdf5, .*electrons\.hdf5: no sample of class photon \(label 0\); give files"


def the_same_content_twice(folder):
    (folder / "electrons.hdf5").write_bytes((folder / "photons.hdf5").read_bytes())
    with h5py.File(folder / "photons.hdf5", "a") as file:
        file["y"][::2] = 1
    (folder / "electrons.hdf5").write_bytes((folder / "photons.hdf5").read_bytes())
    return "electrons.hdf5: has the same content as .*photons.hdf5"


FILES = (
    missing, a_folder, not_hdf5, empty, cut_short, no_images, no_labels, a_group_of_that_name, no_rows, channel_first,
    one_image_only, integers, complex_numbers, not_exact, not_a_number, infinite, another_label,
    a_label_that_is_no_number, labels_of_text, unequal_lengths, labels_of_two_columns, one_class_only,
    the_same_content_twice,
)  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    """Return a folder of two good source files."""
    for code, name in enumerate(("photons", "electrons")):
        write_hdf5(tmp_path / f"{name}.hdf5", showers(60, code), code, chunks=(7, 32, 32, 2), compression="gzip")
    return tmp_path


def ingest(folder, *words):
    return run_ingest(folder / "photons.hdf5", folder / "electrons.hdf5", "--output", folder / "out.zarr", *words)


def listing(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def assert_one_line(outcome, message):
    """The program ended with status 1 and one line that says what is wrong."""
    assert outcome.status == 1
    assert outcome.out == ""
    lines = re.findall(r"^error: (.*)$", outcome.err, re.MULTILINE)
    assert len(lines) == 1, outcome.err
    assert re.search(message, lines[0])
    assert outcome.err.endswith(f"error: {lines[0]}\n"), "the last thing that is said"
    assert "Traceback" not in outcome.err


@pytest.mark.parametrize("spoil", FILES)
def test_a_wrong_file_is_refused_in_one_line_and_leaves_nothing(folder, spoil):
    message = spoil(folder)
    before = listing(folder)
    assert_one_line(ingest(folder), message)
    assert listing(folder) == before


def test_the_same_file_twice_is_refused(folder):
    twice = [folder / "photons.hdf5"] * 2
    outcome = run_ingest(*twice, "--output", folder / "out.zarr")
    assert_one_line(outcome, r"photons\.hdf5: is given twice")
    assert listing(folder) == ["electrons.hdf5", "photons.hdf5"]


OPTIONS = {
    ("--dataset", "muons"): "unknown dataset 'muons'; known: .*electron-photon",
    ("--split", "0.7,0.3"): "split='0.7,0.3' is neither 'challenge', 'challenge-scaled' nor",
    ("--split", "0.7,0.2,0.2"): "split='0.7,0.2,0.2': the three fractions must be positive and add up to 1",
    (
        "--split",
        "challenge",
    ): "60 samples of class photon are too few for split=challenge .*; --split challenge-scaled lowers",
    (
        "--split",
        "0.99,0.005,0.005",
    ): "60 samples of class photon are too few for split=0.99.*; each needs at least 1: give more",
    ("--memory", "1MiB"): "memory=1048576 is too small",
    ("--memory", "much"): "memory='much'",
    ("--memory", "-1GiB"): "memory=",
    ("--seed", "-1"): "seed=-1 is below 0",
    ("--workers", "0"): "workers=0 is below 1",
    ("--workers", "1", "--scheduler", "tcp://localhost:1"): "workers and scheduler exclude each other",
    ("--scheduler", "nonsense://nowhere"): "scheduler=nonsense://nowhere: no dask scheduler answers at this address",
}


@pytest.mark.parametrize(("words", "message"), OPTIONS.items(), ids=map(" ".join, OPTIONS))
def test_a_wrong_option_is_refused_in_one_line_and_leaves_nothing(folder, words, message):
    before = listing(folder)
    assert_one_line(ingest(folder, *words), message)
    assert listing(folder) == before


@pytest.mark.parametrize("words", [("--seed", "three"), ("--nonsense",), ("--output",), ("--sample",)], ids=" ".join)
def test_wrong_usage_is_2_and_leaves_nothing(folder, words):
    before = listing(folder)
    outcome = ingest(folder, *words)
    assert (outcome.status, outcome.out) == (2, "")
    assert words[0] in outcome.err
    assert "Traceback" not in outcome.err
    assert listing(folder) == before


def a_store(path):
    attributes = {"format": "calostream", "format_version": 1}
    zarr.create_group(path, zarr_format=3, attributes=attributes)
    return "out.zarr: already exists; --overwrite replaces it"


def a_file(path):
    path.write_text("precious")
    return "out.zarr: exists and is not a store, and only stores are replaced"


def an_empty_folder(path):
    path.mkdir()
    return "out.zarr: exists and is not a store, and only stores are replaced"


@pytest.mark.parametrize("make", [a_store, a_file, an_empty_folder])
def test_an_output_that_exists_is_refused_and_stays(folder, make):
    message = make(folder / "out.zarr")
    before = listing(folder)
    assert_one_line(ingest(folder), message)
    assert listing(folder) == before


@pytest.mark.parametrize("make", ["file", "folder", "zarr array", "zarr group"])
def test_overwrite_never_replaces_what_is_no_store(folder, make):
    path = folder / "out.zarr"
    if make == "file":
        path.write_text("precious")
    elif make == "folder":
        path.mkdir()
        (path / "thesis.tex").write_text("precious")
    elif make == "zarr array":
        zarr.create_array(path, data=np.arange(5))
    else:
        zarr.create_array(zarr.create_group(path).store_path / "precious", data=np.arange(5))
    before = listing(folder)
    assert_one_line(
        ingest(folder, "--overwrite"), r"out\.zarr: exists and is not a store, and only stores are replaced"
    )
    assert listing(folder) == before


def test_a_destination_that_cannot_be_made_is_named(folder):
    (folder / "file").write_text("not a folder")
    words = folder / "photons.hdf5", folder / "electrons.hdf5", "--output", folder / "file" / "out.zarr"
    before = listing(folder)
    outcome = run_ingest(*words)
    assert_one_line(outcome, "file")
    assert listing(folder) == before


@pytest.mark.parametrize("command", ["info", "statistics", "verify"])
def test_commands_on_what_is_no_store_say_so(folder, command):
    outcome = run_ingest(command, folder / "nothing.zarr")
    assert_one_line(outcome, r"nothing\.zarr")
    assert listing(folder) == ["electrons.hdf5", "photons.hdf5"]


def test_debug_shows_the_traceback(folder):
    with pytest.raises(ValueError, match="no such file"):
        run_ingest(folder / "nothing.hdf5", "--output", folder / "out.zarr", "--debug")
