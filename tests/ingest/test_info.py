import dataclasses
import io
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import zarr
from rich.console import Console

from ingest.info import describe_store, image_table
from ingest.summary import _finite
from store.datasets import Channel
from store.image_statistics import ImageStatistics, to_dataset
from store.opening import open_statistics
from store.plans.shuffles import SHUFFLES
from store.readers import sample_reader
from tests.examples import run_ingest, shape_spec, showers, write_hdf5
from tests.jets import write_jet_store


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
                np.testing.assert_allclose(float(text), one[key], rtol=5.1e-4)
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


def strict(text):
    """Return the one JSON document in a text; numbers that are not JSON are refused."""

    def refuse(word):
        raise AssertionError(f"{word} is not JSON")

    return json.loads(text, parse_constant=refuse)


def test_json_holds_what_the_tables_show(bundled):
    outcome = run_ingest("info", bundled[0], "--json", "--reference")
    assert (outcome.status, outcome.err) == (0, "")
    document, group = strict(outcome.out), zarr.open_group(bundled[0], mode="r")
    assert (document["summary_version"], document["format_version"]) == (2, 2)
    for key in ("dataset", "title", "simulated", "split_scheme", "seed", "sources", "content_digest", "history"):
        assert document[key] == group.attrs[key]
    assert (document["samples"], document["image_shape"], document["dtype"]) == (11_000, [32, 32, 2], "float32")
    assert [(c["name"], c["scale"], c["unit"]) for c in document["channels"]] == [
        ("energy", 50, "GeV"),
        ("time", 50, "ns"),
    ]
    assert document["bytes_stored"] == sum(file.stat().st_size for file in bundled[0].rglob("*") if file.is_file())
    assert document["bytes_of_images"] == 11_000 * 8192
    label, statistics = group["label"][:], open_statistics(bundled[0])
    for split, (start, stop) in group.attrs["split_ranges"].items():
        found = document["splits"][split]
        assert (found["start"], found["stop"], found["samples"]) == (start, stop, stop - start)
        counts = np.bincount(label[start:stop])
        assert found["samples_by_class"] == {"photon": counts[0], "electron": counts[1]}
    assert len(document["statistics"]["images"]) == 4
    for row in document["statistics"]["images"]:
        values = statistics.sel({"class": row["class"], "channel": row["channel"]})
        for key in ("mean", "std", "minimum", "maximum", "nonzero_share", "images", "empty_images"):
            assert row[key] == values[key], key
    assert document["statistics"]["variables"] == []
    assert document["reader"]["description"] in run_ingest("info", bundled[0]).out
    assert document["shuffling"] is None
    assert document["reference"]["photon"]["energy mean"]["published"] == 0.0012235


def test_the_page_describes_each_field_of_json(bundled):
    page = (Path(__file__).parents[2] / "docs" / "ingest.md").read_text().partition("as JSON\n")[2]
    named = [name for cell in re.findall(r"^\| (`.*?) \|", page, re.M) for name in re.findall(r"`(\w+)`", cell)]
    assert sorted(named) == sorted(strict(run_ingest("info", bundled[0], "--json").out))


def test_json_of_jets_has_their_variables(tmp_path):
    path = write_jet_store(tmp_path)
    document, statistics = strict(run_ingest("info", path, "--json").out), open_statistics(path)
    assert [(v["name"], v["units"]) for v in document["variables"]] == [("pt", "GeV"), ("m0", "GeV")]
    for row in document["statistics"]["variables"]:
        values = statistics.sel({"class": row["class"], "variable": row["variable"]})
        assert (row["mean"], row["units"]) == (values["variable_mean"], "GeV")
        assert row["median"] == values["variable_quantile"].sel(probability=0.5)
    assert (document["reference"], document["selection"]) == (None, None)
    run_ingest("select", path, "--where", "source_row >= 0", "--output", tmp_path / "cut.zarr")
    cut = strict(run_ingest("info", tmp_path / "cut.zarr", "--json").out)
    counts = {"before": document["samples"], "after": document["samples"]}
    assert cut["selection"] == {"from": document["content_digest"], "where": "source_row >= 0", **counts}


def test_classes_whole_numbers_and_weights_are_shown(three_classes):
    out, group = run_ingest("info", three_classes).out, zarr.open_group(three_classes, mode="r")
    label, weight = group["label"][:], group["weight"][:].astype(np.float64)
    counts, sums = np.bincount(label), np.bincount(label, weight)
    names = ("qcd", "top", "w")
    assert f"classes  {', '.join(f'{name} {count}' for name, count in zip(names, counts, strict=True))}" in out
    assert "event    event number, int64" in out
    assert f"weight   sums: {', '.join(f'{name} {s:.6g}' for name, s in zip(names, sums, strict=True))}" in out
    document = strict(run_ingest("info", three_classes, "--json").out)
    assert document["classes"] == list(names)
    assert [(v["name"], v["dtype"]) for v in document["variables"]] == [("pt", "float32"), ("event", "int64")]
    for split in document["splits"].values():
        part = slice(split["start"], split["stop"])
        assert list(split["samples_by_class"].values()) == np.bincount(label[part], minlength=3).tolist()
        expected = np.bincount(label[part], weight[part], minlength=3)
        np.testing.assert_allclose(list(split["weight_by_class"].values()), expected)


def test_tables_of_hundreds_of_channels_are_narrow_and_short():
    spec = dataclasses.replace(
        shape_spec((1, 1, 300)), channels=tuple(Channel(name=f"{k}{'x' * 55}", long_name="") for k in range(300))
    )
    sums = ImageStatistics.zero(spec)
    sums.update(np.ones((2, 1, 1, 300), np.float32), np.uint8([0, 1]))
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(image_table(to_dataset(sums, spec)))
    lines = console.export_text().splitlines()
    assert max(map(len, lines)) <= 100
    assert len(lines) < 150
    assert "and 552 more classes and channels; --json has all" in lines[-1]
    assert not [line for line in lines if "…" in line], "no number is cut off"


def test_json_is_valid_for_a_class_whose_images_are_empty(tmp_path):
    images = showers(6)
    images[3:] = 0
    source = write_hdf5(tmp_path / "a.hdf5", images, np.repeat([0.0, 1.0], 3))
    made = run_ingest(source, "--split", "0.34,0.33,0.33", "--output", tmp_path / "tiny.zarr")
    assert made.status == 0, made.err
    strict(run_ingest("info", tmp_path / "tiny.zarr", "--json").out)


def test_numbers_that_are_not_json_become_null():
    assert _finite({"a": [float("nan"), 1.0], "b": {"c": float("inf")}}) == {"a": [None, 1.0], "b": {"c": None}}


def test_json_escapes_control_characters(bundled, tmp_path):
    path = Path(shutil.copytree(bundled[0], tmp_path / "copy.zarr"))
    metadata = json.loads((path / "zarr.json").read_text())
    metadata["attributes"]["title"] = "\x1b]0;owned\x07\x9b"
    (path / "zarr.json").write_text(json.dumps(metadata))
    out = run_ingest("info", path, "--json").out
    assert [c for c in out if not c.isprintable() and c != "\n"] == []
    assert strict(out)["title"] == "\x1b]0;owned\x07\x9b"


@pytest.mark.parametrize(("words", "message"), [(("no.zarr",), "no.zarr"), (("JETS", "--reference"), "quark-gluon")])
def test_a_failure_of_json_prints_nothing_but_one_line_of_error(tmp_path, words, message):
    path = write_jet_store(tmp_path) if words[0] == "JETS" else tmp_path / words[0]
    outcome = run_ingest("info", path, *words[1:], "--json")
    assert (outcome.status, outcome.out) == (1, "")
    assert outcome.err.startswith("error: ")
    assert message in outcome.err
    assert outcome.err.count("\n") == 1


def test_the_quality_of_shuffles_is_shown_on_demand_for_batches_that_the_split_has(bundled, tmp_path):
    path = write_jet_store(tmp_path)
    assert "shuffling in" not in run_ingest("info", path).out
    shown = run_ingest("info", path, "--quality").out
    assert "shuffling in batches of 6;" in shown
    assert set(re.findall(r"^(full|window|chunks|none) +[\d.]+ +[\d.]+ *$", shown, re.M)) == set(SHUFFLES)
    shuffling = strict(run_ingest("info", bundled[0], "--quality", "--json").out)["shuffling"]
    assert shuffling["batch_size"] == 512
    assert shuffling["kinds"]["full"]["companions"] == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize(("width", "parts"), [(60, 2), (80, 1), (200, 1)])
def test_tables_fit_in_a_terminal_and_break_no_number(bundled, width, parts):
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(describe_store(bundled[0], reference=True, quality=True))
    lines = console.export_text().splitlines()
    assert max(map(len, lines)) <= width
    assert [line.split()[:2] for line in lines].count(["electron", "time"]) == parts
    numbers = " ".join(lines).split()
    assert {"11,000", "0.001233", "-5.32e-05", "3,850", "4.57%", "0.0012235", "0.72788"} <= set(numbers)
    assert not [line for line in lines if "…" in line]
