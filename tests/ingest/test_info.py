import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import zarr

from store import sample_reader
from store.opening import open_statistics
from tests.examples import run_ingest, showers, write_hdf5


def test_info_shows_what_is_in_a_store(bundled):
    outcome = run_ingest("info", bundled[0])
    assert outcome.status == 0, outcome.err
    attributes = zarr.open_group(bundled[0], mode="r").attrs
    for expected in (
        "Geant4 simulation, not CMS data",
        "11,000 of 32 x 32 x 2, float32",
        "scheme 0.7,0.1,0.2, seed 0",
        attributes["content_digest"],
        *(f"{source['name']}, 5,500 rows, sha256 {source['sha256'][:12]}" for source in attributes["sources"]),
    ):
        assert expected in outcome.out


def test_info_shows_attributes_without_what_would_command_a_terminal(bundled, tmp_path):
    path = Path(shutil.copytree(bundled[0], tmp_path / "copy.zarr"))
    metadata = json.loads((path / "zarr.json").read_text())
    metadata["attributes"].update(title="\x1b]0;owned\x07", simulated="\x1b[2J", split_scheme="\x9b31m\r")
    (path / "zarr.json").write_text(json.dumps(metadata))
    out = run_ingest("info", path).out
    assert [c for c in out if not c.isprintable() and c != "\n"] == []
    for shown in (r"\x1b]0;owned\x07", r"\x1b[2J, not CMS data", r"scheme \x9b31m\r, seed 0"):
        assert shown in out


@pytest.mark.parametrize(
    ("chosen", "network", "shown"),
    [
        ("", False, "image by image, from a memory map\n"),
        ("", True, "image by image, by pread, because the store is on "),
        ("pread", False, "image by image, by pread, as CALOSTREAM_READER=pread demands\n"),
    ],
)
def test_info_shows_how_a_store_is_read(bundled, monkeypatch, chosen, network, shown):
    monkeypatch.setenv("CALOSTREAM_READER", chosen)
    monkeypatch.setattr(sample_reader, "on_network", lambda path: network)
    out = run_ingest("info", bundled[0]).out
    assert f"read as  {shown}" in re.sub(r" +\n", "\n", out)


def test_info_shows_the_statistics(bundled):
    out, statistics = run_ingest("info", bundled[0]).out, open_statistics(bundled[0])
    for c, name in enumerate(("photon", "electron")):
        for k, channel in enumerate(("energy", "time")):
            (row,) = re.findall(rf"^ *{name} +{channel} +(.*?) *$", out, re.MULTILINE)
            shown = row.split()
            one = statistics.isel({"class": c, "channel": k})
            for text, key in zip(shown, ("mean", "std", "minimum", "maximum"), strict=False):
                np.testing.assert_allclose(float(text), one[key], rtol=1e-5)
            assert shown[5:] == [f"{int(one['images']):,}", f"{int(one['empty_images']):,}"]


def test_info_shows_published_values_beside_the_stores_own(bundled):
    out, statistics = run_ingest("info", bundled[0], "--reference").out, open_statistics(bundled[0])
    energy = statistics.sel({"class": "photon", "channel": "energy"})
    (row,) = re.findall(r"^ *energy mean +(.*)$", out, re.MULTILINE)
    published, here = map(float, row.split()[:2])
    assert published == 0.0012235
    np.testing.assert_allclose(here, energy["mean"], rtol=1e-4)
    (row,) = re.findall(r"^ *sum\(E\^2\) +(.*)$", out, re.MULTILINE)
    images = zarr.open_group(bundled[0], mode="r")
    photons = images["image"][:7_700][images["label"][:7_700] == 0][..., 0].astype(np.float64)
    np.testing.assert_allclose(float(row.split()[1]), (photons**2).sum() / len(photons), rtol=1e-4)


@pytest.mark.parametrize("words", [("--help",), ("convert", "--help"), ("info", "--help"), ("fetch", "--help")])
def test_help_is_there(words):
    outcome = run_ingest(*words)
    assert outcome.status == 0
    assert "Usage" in outcome.out


def test_a_store_of_three_showers_per_class_is_made_and_shown(tmp_path):
    sources = [write_hdf5(tmp_path / f"{label}.hdf5", showers(3, seed=label), label) for label in (0, 1)]
    made = run_ingest(*sources, "--split", "0.34,0.33,0.33", "--output", tmp_path / "tiny.zarr")
    assert made.status == 0, made.err
    assert "train 2, validation 2, test 2" in run_ingest("info", tmp_path / "tiny.zarr").out
