"""What ingest says about its sources, and what it writes of what others have given it."""

import sys

import h5py
import numpy as np
import pytest
import zarr

from ingest.notes import describe_unread
from store.sources.values import STORED_AS_FLOAT32
from tests.examples import run_ingest, showers, texts, write_hdf5

ESCAPES = "\x1b]0;title\x07\x1b[2J\x9b31m\nline\udcff"


def control_characters(*words):
    return [c for text in words for c in text if not c.isprintable()]


@pytest.fixture
def named(pair):
    """Return two sources with more in them than goes into the store."""
    for number, path in enumerate(pair):
        with h5py.File(path, "a") as file:
            file["weight"] = np.ones(len(file["y"]))
            file[f"eta{number}"] = np.ones(len(file["y"]))
    return pair


def test_what_is_left_out_of_the_store_is_said_in_one_line(named, tmp_path):
    outcome = run_ingest(*named, "--output", tmp_path / "out.zarr")
    assert outcome.status == 0, outcome.err
    (line,) = [line for line in outcome.err.splitlines() if "left out" in line]
    assert line == (
        f"{named[0]} and 1 more file: left out of the store: 'eta0', 'weight', 'eta1'; "
        "weights go into it if the description names them (weight.key)"
    )


def test_nothing_is_said_where_nothing_is_left_out(pair, tmp_path):
    assert "left out" not in run_ingest(*pair, "--output", tmp_path / "out.zarr").err


def test_many_and_long_names_are_cut_short():
    class Source:
        path = "a.h5"
        unread = tuple(f"{ESCAPES}{number}" + "x" * 1000 for number in range(9))

    line = describe_unread([Source()])
    assert line.endswith(" and 4 more")
    assert len(line) < 400
    assert control_characters(line) == []


def test_a_file_whose_images_are_mixed_up_is_warned_of_once_and_ingested(tmp_path):
    images = showers(60)
    images[:, 16, 16, 0] = 4
    good = write_hdf5(tmp_path / "good.hdf5", images, 0)
    bad = write_hdf5(tmp_path / "bad.hdf5", images[..., ::-1], 1)
    outcome = run_ingest(good, bad, "--output", tmp_path / "out.zarr")
    assert outcome.status == 0, outcome.err
    (line,) = [line for line in outcome.err.splitlines() if line.startswith("warning: ")]
    assert line.startswith(f"warning: {bad}: 60 images look unlike those of electron-photon: energy is -")


def test_a_note_about_many_files_is_one_line_and_five_files_are_warned_of(tmp_path):
    images = showers(60).astype("f8")
    images[:, 16, 16, 0] = 4
    for number in range(9):
        label, wrong = number % 2, number < 7
        images[:, 0, 0, 0] = number / 128
        write_hdf5(tmp_path / f"{number}.hdf5", images[..., ::-1] if wrong else images, label)
    outcome = run_ingest(tmp_path, "--output", tmp_path / "out.zarr")
    assert outcome.status == 0, outcome.err
    lines = outcome.err.splitlines()
    notes = [line for line in lines if "float64" in line]
    assert notes == [f"{tmp_path}/0.hdf5 and 8 more files: X is float64; {STORED_AS_FLOAT32}"]
    warnings = [line for line in lines if line.startswith("warning: ")]
    assert [line.split(": ")[1] for line in warnings[:5]] == [f"{tmp_path}/{number}.hdf5" for number in range(5)]
    assert warnings[5:] == ["warning: the images of 2 more files look unlike those of electron-photon"]


def test_no_control_character_reaches_the_store_or_the_terminal(pair, tmp_path, monkeypatch):
    words = [*map(str, pair), "--simulation", ESCAPES, "--split", "0.7,\t0.1,\n0.2", "--output", tmp_path / "out.zarr"]
    monkeypatch.setattr(sys, "argv", ["ingest", *map(str, words)])
    outcome = run_ingest(*words)
    assert outcome.status == 0, outcome.err
    attributes = dict(zarr.open_group(tmp_path / "out.zarr", mode="r").attrs)
    assert control_characters(*texts(attributes)) == []
    assert attributes["simulated"] == r"\x1b]0;title\x07\x1b[2J\x9b31m line\udcff"
    assert attributes["split_scheme"] == "0.7,0.1,0.2"
    assert r"--simulation '\x1b]0;title" in attributes["history"]
    assert control_characters(outcome.out.replace("\n", "")) == []
    selected = ("--where", "source_row > 3 # \x1b[2J\n", "--output", tmp_path / "part.zarr")
    monkeypatch.setattr(sys, "argv", ["ingest", "select", *map(str, selected)])
    outcome = run_ingest("select", tmp_path / "out.zarr", *selected)
    assert outcome.status == 0, outcome.err
    attributes = dict(zarr.open_group(tmp_path / "part.zarr", mode="r").attrs)
    assert control_characters(*texts(attributes)) == ["\n"], "between the lines of the history"
    assert attributes["split_scheme"] == r"0.7,0.1,0.2 where source_row > 3 # \x1b[2J"
    assert control_characters(outcome.out.replace("\n", "")) == []


def test_a_store_whose_name_has_control_characters_is_verified_without_sending_them(pair, tmp_path):
    path = tmp_path / "\x1b[2Jout.zarr"
    assert run_ingest(*pair, "--output", path).status == 0
    outcome = run_ingest("verify", path)
    assert outcome.status == 0, outcome.err
    assert control_characters(outcome.out.replace("\n", "")) == []
    assert r"\x1b[2Jout.zarr: " in outcome.out
