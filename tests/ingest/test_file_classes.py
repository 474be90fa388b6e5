"""Classes of whole files, for files that have no labels."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import zarr

from ingest.file_classes import FileLabel, classes_of_files
from store.errors import ConfigError, SourceError
from tests.examples import run_ingest, showers, write_hdf5

CLASSES = ("photon", "electron")
FILES = ("photons/1.h5", "photons/2.h5", "electrons/1.h5")
BOTH = ("--label", "photon=photons", "--label", "electron=electrons/*.h5")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return a folder with files of images without labels, in a folder per class; no test changes it."""
    folder = tmp_path_factory.mktemp("unlabelled")
    for number, name in enumerate(FILES):
        (folder / name).parent.mkdir(exist_ok=True)
        with h5py.File(folder / name, "w") as file:
            file["X"] = showers(30, number)
    return folder


@pytest.fixture
def folder(made, monkeypatch):
    """Work in the folder."""
    monkeypatch.chdir(made)
    return made


def classes(files, *labels):
    return classes_of_files(map(Path, files), [FileLabel.parse(label, CLASSES) for label in labels])


@pytest.mark.parametrize(
    "labels",
    [
        ("photon=photons", "electron=electrons"),
        ("photon=photons/*.h5", "electron=electrons/1.h5"),
        ("photon=photons/1.h5", "photon=photons/2.h5", "electron=e*"),
        ("photon=./photons/../photons", "electron=**/electrons"),
        ("photon=photons", "photon=photons/1.h5", "electron=electrons"),
    ],
)
def test_files_folders_and_patterns_cover_sources(folder, labels):
    assert classes(FILES, *labels) == (0, 0, 1)
    assert classes([folder / name for name in FILES], *labels) == (0, 0, 1)
    assert classes([f"electrons/../{name}" for name in FILES], *labels) == (0, 0, 1)


def test_links_to_files_and_folders_are_of_the_class_of_their_place(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("signal").symlink_to(folder / "electrons")
    Path("background").mkdir()
    Path("background/link.h5").symlink_to(folder / "electrons" / "1.h5")
    files = ["signal/1.h5", "background/link.h5"]
    assert classes(files, "electron=signal", "photon=background") == (1, 0)
    assert classes(files, "electron=sig*/*", "photon=background/*") == (1, 0)
    assert classes(files, f"electron={folder / 'electrons'}", "photon=background") == (1, 0)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["photon=photons"], "electrons/1.h5: no --label covers this source"),
        (
            ["photon=photons", "electron=*/1.h5"],
            "photons/1.h5: --label electron=*/1.h5 and --label photon=photons both cover this source",
        ),
        (["photon=photons", "electron=electrons", "electron=/"], "both cover this source"),
        (
            ["photon=photons", "electron=electrons", "electron=muons"],
            "--label electron=muons: covers none of the sources",
        ),
        (["photon=photons", "electron=muons/*.h5"], "muons/*.h5: no file matches this pattern"),
    ],
)
def test_each_source_is_of_one_class(folder, labels, message):
    with pytest.raises(SourceError) as refused:
        classes(FILES, *labels)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("muon=x.h5", "label='muon=x.h5': unknown class 'muon'; known: photon, electron"),
        ("photons/1.h5", "label='photons/1.h5' is not of the form CLASS=FILES, such as photon='photon/*.h5'"),
        ("photon=", "label='photon=' is not of the form CLASS=FILES"),
    ],
)
def test_a_label_names_a_class_and_files(label, message):
    with pytest.raises(ConfigError) as refused:
        FileLabel.parse(label, CLASSES)
    assert str(refused.value).startswith(message)


def test_files_without_labels_are_ingested_recorded_and_verified(folder, tmp_path):
    outcome = run_ingest(*BOTH, "--output", tmp_path / "out.zarr")
    assert outcome.status == 0, outcome.err
    group = zarr.open_group(tmp_path / "out.zarr", mode="r")
    sources = group.attrs["sources"]
    assert [(source["name"], source["class"]) for source in sources] == [
        ("photons/1.h5", "photon"), ("photons/2.h5", "photon"), ("electrons/1.h5", "electron")
    ]  # fmt: skip
    assert np.array_equal(group["label"][:], group["source_file"][:] == 2)
    assert ", class electron" in outcome.out
    verified = run_ingest("verify", tmp_path / "out.zarr", "electrons", "photons")
    assert "90 images equal to their sources" in verified.out, verified.err
    with_sources = run_ingest("photons", "electrons", *BOTH, "--output", tmp_path / "same.zarr")
    assert with_sources.status == 0, with_sources.err
    assert zarr.open_group(tmp_path / "same.zarr").attrs["content_digest"] == group.attrs["content_digest"]


def test_an_interrupted_ingest_is_not_resumed_with_another_class(folder, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("ingest.completion.write_tables", fail)
        assert run_ingest(*BOTH, "--output", tmp_path / "out.zarr").status == 1
    swapped = ("--label", "photon=electrons", "--label", "electron=photons")
    outcome = run_ingest("photons", "electrons", *swapped, "--output", tmp_path / "out.zarr")
    assert outcome.status == 1
    assert "an interrupted ingest has sources[0]=" in outcome.err
    assert "class photon" in outcome.err
    assert "class electron" in outcome.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["photons", "electrons"], "photons/1.h5: no dataset 'y'"),
        (["photons/1.h5", *BOTH], "--label electron=electrons/*.h5: covers none of the sources"),
        (["--label", "photon=*/1.h5", "--label", "electron=electrons"], "electrons/1.h5: --label "),
        (["--label", "photon=photons"], "no sample of class electron"),
        (["--label", "photon=none.h5", "--label", "electron=electrons"], "none.h5: no such file"),
        (["--label", "gluon=photons"], "unknown class 'gluon'; known: photon, electron"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(folder, tmp_path, words, message):
    outcome = run_ingest(*words, "--output", tmp_path / "out.zarr")
    assert outcome.status == 1
    errors = [line for line in outcome.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert message in errors[0]
    assert list(tmp_path.iterdir()) == []


def test_labels_in_files_are_compared_with_the_class_that_is_told(tmp_path):
    paths = [write_hdf5(tmp_path / f"{label}.h5", showers(30, label), label) for label in (0, 1)]
    right = ("--label", f"photon={paths[0]}", "--label", f"electron={paths[1]}")
    assert run_ingest(*right, "--output", tmp_path / "right.zarr").status == 0
    wrong = ("--label", f"photon={paths[1]}", "--label", f"electron={paths[0]}")
    outcome = run_ingest(*wrong, "--output", tmp_path / "wrong.zarr")
    assert outcome.status == 1
    assert "is of class" in outcome.err
    assert not list(tmp_path.glob("*wrong*"))
