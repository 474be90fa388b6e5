import hashlib
import json
import sys

import h5py
import numpy as np
import pytest
import zarr
from scipy.stats import chi2

from ingest.split import Split, arrange
from store.datasets import ELECTRON_PHOTON
from store.opening import open_dataset, open_statistics
from store.stream import BatchStream
from tests.examples import run_ingest, showers, write_hdf5

SAMPLE_DIGEST = "c43d2704dcf1b3b9a9d237ed7a8a1f3077623d9de7dacc5fd25aaf03369b7f0a"
RARE = 1e-6  # seeds are fixed, so that a test either always passes or never


def open_group(path):
    return zarr.open_group(path, mode="r")


def ingest_to(output, *words):
    outcome = run_ingest(*words, "--output", output)
    assert outcome.status == 0, outcome.err
    return outcome


def test_the_bundled_sample_is_in_the_store_bit_for_bit(bundled, sample_sources, assert_equals_sources):
    assert_equals_sources(bundled[0], *sample_sources)


def test_the_content_of_the_bundled_sample_is_the_promised_one(bundled):
    assert open_group(bundled[0]).attrs["content_digest"] == SAMPLE_DIGEST


def test_splits_are_contiguous_stratified_and_of_the_asked_sizes(bundled):
    group = open_group(bundled[0])
    assert group.attrs["split_ranges"] == {"train": [0, 7_700], "validation": [7_700, 8_800], "test": [8_800, 11_000]}
    split, label = group["split"][:], group["label"][:]
    assert np.array_equal(split, np.repeat([0, 1, 2], [7_700, 1_100, 2_200]))
    for code, size in enumerate((3_850, 550, 1_100)):
        assert np.bincount(label[split == code]).tolist() == [size, size]


def test_classes_are_mixed_in_every_chunk_as_by_chance(bundled):
    label = open_group(bundled[0])["label"][:7_680].reshape(-1, 64)
    electrons = label.sum(axis=1)
    assert 0 < electrons.min() <= electrons.max() < 64
    assert ((electrons - 32) ** 2 / 16).sum() < chi2.isf(RARE, electrons.size)
    assert ((electrons - 32) ** 2 / 16).sum() > chi2.isf(1 - RARE, electrons.size), "more even than by chance"


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_nothing_of_the_files_order_is_left(bundled, split):
    start, stop = open_group(bundled[0]).attrs["split_ranges"][split]
    row = open_group(bundled[0])["source_row"][start:stop]
    assert abs(np.corrcoef(row, np.arange(row.size))[0, 1]) < 5 / np.sqrt(row.size)
    assert abs(np.corrcoef(row[1:], row[:-1])[0, 1]) < 5 / np.sqrt(row.size)
    assert np.count_nonzero(np.diff(row) == 1) < 10


def test_the_attributes_tell_where_the_store_comes_from(bundled, sample_sources):
    attributes = open_group(bundled[0]).attrs.asdict()
    assert attributes["sources"] == [
        {
            "name": path.name,
            "size": path.stat().st_size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "rows": 5_500,
        }
        for path in sample_sources
    ]
    assert attributes["simulated"] == "Geant4 simulation"
    assert (attributes["format"], attributes["format_version"]) == ("calostream", 2)
    assert (attributes["dataset"], attributes["seed"], attributes["split_scheme"]) == (
        "electron-photon",
        0,
        "0.7,0.1,0.2",
    )
    assert attributes["Conventions"].startswith("CF-")
    assert attributes["title"] == ELECTRON_PHOTON.title
    assert {"calostream", "zarr", "numcodecs", "numpy", "h5py"} <= attributes["versions"].keys()
    assert len(bytes.fromhex(attributes["content_digest"])) == 32
    images = open_group(bundled[0])["image"][:]
    assert attributes["empty_images"] == np.count_nonzero(~images.any(axis=(1, 2, 3)))


def test_the_history_has_the_command(pair, tmp_path, monkeypatch):
    words = ["ingest", *map(str, pair), "--output", str(tmp_path / "out.zarr"), "--seed", "3"]
    monkeypatch.setattr(sys, "argv", words)
    ingest_to(tmp_path / "out.zarr", *pair, "--seed", 3)
    assert open_group(tmp_path / "out.zarr").attrs["history"].endswith("Z " + " ".join(words))


def test_everything_that_is_left_is_the_store(bundled):
    assert [path.name for path in bundled[0].parent.iterdir()] == ["sample.zarr"]
    names = {path.name for path in bundled[0].rglob("*")}
    assert not [name for name in names if "partial" in name or name.startswith(".")]


def test_the_sample_is_called_a_simulation_and_the_store_described(bundled):
    _, outcome = bundled
    assert "using the bundled sample: a Geant4 simulation, not CMS data" in outcome.err
    assert "Geant4 simulation, not CMS data" in outcome.out
    assert "11,000 of 32 x 32 x 2, float32" in outcome.out
    assert "train 7,700, validation 1,100, test 2,200" in outcome.out


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_a_stream_gives_what_the_store_holds_by_the_fast_reader(bundled, split):
    dataset = open_dataset(bundled[0], split=split).load()
    start = open_group(bundled[0]).attrs["split_ranges"][split][0]
    stream = BatchStream(bundled[0], split=split, batch_size=500)
    assert stream.reader == "blocks"
    for batch in stream:
        assert np.array_equal(batch.image, dataset["image"].values[batch.sample - start])
        assert np.array_equal(batch.label, dataset["label"].values[batch.sample - start])


def test_statistics_equal_a_float64_computation_on_the_training_split(bundled):
    group, statistics = open_group(bundled[0]), open_statistics(bundled[0])
    images, label = group["image"][:7_700].astype(np.float64), group["label"][:7_700]
    for code in range(2):
        values, one = images[label == code], statistics.isel({"class": code})
        assert one["images"] == len(values)
        assert one["empty_images"] == np.count_nonzero(~values.any(axis=(1, 2, 3)))
        np.testing.assert_allclose(one["mean"], values.mean((0, 1, 2)), rtol=1e-9)
        np.testing.assert_allclose(one["std"], values.std((0, 1, 2)), rtol=1e-9)
        np.testing.assert_allclose(one["nonzero_share"], (values != 0).mean((0, 1, 2)), rtol=1e-12)
        np.testing.assert_allclose(one["mean_image"], values.mean(0), rtol=1e-9, atol=1e-16)
        np.testing.assert_allclose(one["std_image"], values.std(0), rtol=1e-9, atol=1e-16)
        assert np.array_equal(one["minimum"], values.min((0, 1, 2)))
        assert np.array_equal(one["maximum"], values.max((0, 1, 2)))
    np.testing.assert_allclose(statistics["pooled_mean"], images.mean((0, 1, 2)), rtol=1e-9)
    np.testing.assert_allclose(statistics["pooled_std"], images.std((0, 1, 2)), rtol=1e-9)


def test_an_outlier_in_the_test_split_changes_no_statistic(tmp_path):
    label = np.repeat([0, 1], 60).astype(np.uint8)
    order, sizes = arrange({"label": label}, Split.parse("0.7,0.1,0.2"), 0, ELECTRON_PHOTON.classes)
    images, planted = showers(120), {}
    for split, place in (("train", 0), ("validation", sizes[0]), ("test", order.size - 1), ("none", None)):
        changed = images.copy()
        if place is not None:
            changed[order[place], 3, 4, :] = 1_000
        write_hdf5(tmp_path / "both.hdf5", changed, label)
        ingest_to(tmp_path / f"{split}.zarr", tmp_path / "both.hdf5")
        planted[split] = open_statistics(tmp_path / f"{split}.zarr")
    assert planted["test"].identical(planted["none"])
    assert planted["validation"].identical(planted["none"])
    assert planted["train"]["maximum"].max() == 1_000, "there it would have been seen"


def test_computing_the_statistics_again_changes_nothing(pair, tmp_path):
    ingest_to(tmp_path / "out.zarr", *pair)
    before = open_statistics(tmp_path / "out.zarr")
    outcome = run_ingest("statistics", tmp_path / "out.zarr")
    assert outcome.status == 0, outcome.err
    assert open_statistics(tmp_path / "out.zarr").identical(before)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["electrons.hdf5", "out.zarr", "photons.hdf5"]


def content(path):
    """Return a store's digest and its bytes of images and provenance."""
    group = open_group(path)
    shards = b"".join(file.read_bytes() for file in sorted((path / "image").glob("c.*")))
    return group.attrs["content_digest"], shards, group["source_row"][:].tolist(), group["label"][:].tolist()


def test_the_same_seed_gives_the_same_content_and_another_seed_another(pair, tmp_path):
    ingest_to(tmp_path / "a.zarr", *pair, "--seed", 7)
    ingest_to(tmp_path / "b.zarr", *pair, "--seed", 7, "--memory", "300MiB")
    ingest_to(tmp_path / "c.zarr", *pair, "--seed", 8)
    assert content(tmp_path / "a.zarr") == content(tmp_path / "b.zarr")
    assert all(a != c for a, c in zip(content(tmp_path / "a.zarr"), content(tmp_path / "c.zarr"), strict=True))


def test_another_value_gives_another_digest(pair, tmp_path):
    ingest_to(tmp_path / "a.zarr", *pair)
    with h5py.File(pair[0], "a") as file:
        file["X"][5, 0, 0, 0] += 1
    ingest_to(tmp_path / "b.zarr", *pair)
    assert content(tmp_path / "a.zarr")[0] != content(tmp_path / "b.zarr")[0]


def one_file_with_both_classes(folder):
    label = np.random.default_rng(0).integers(0, 2, 90)
    return [write_hdf5(folder / "both.hdf5", showers(90), label, chunks=(11, 32, 32, 2), compression="lzf")]


def two_files_of_unequal_length(folder):
    return [write_hdf5(folder / "a.hdf5", showers(33, 1), 0), write_hdf5(folder / "b.hdf5", showers(71, 2), 1)]


def three_files_of_several_forms(folder):
    return [
        write_hdf5(folder / "e.hdf5", showers(40, 1), 1, chunks=(9, 32, 32, 2), compression="gzip", shuffle=True),
        write_hdf5(folder / "p.hdf5", showers(25, 2).astype(">f4"), np.zeros((25, 1), np.int8)),
        write_hdf5(folder / "b.hdf5", showers(30, 3).astype("f8"), np.arange(30) % 2 == 0, chunks=(4, 8, 32, 2)),
    ]


def more_than_a_stretch(folder):
    images = np.tile(showers(500), (20, 1, 1, 1))
    images[:, 0, 0, 0] = np.arange(10_000)
    label = np.random.default_rng(0).integers(0, 2, 10_000)
    return [write_hdf5(folder / "many.hdf5", images, label, chunks=(999, 32, 32, 2), compression="lzf")]


@pytest.mark.parametrize(
    "make",
    [one_file_with_both_classes, two_files_of_unequal_length, three_files_of_several_forms, more_than_a_stretch],
)
def test_any_set_of_files_is_in_the_store_bit_for_bit(tmp_path, make, assert_equals_sources):
    sources = make(tmp_path)
    ingest_to(tmp_path / "out.zarr", *sources, "--memory", "200MiB")
    assert_equals_sources(tmp_path / "out.zarr", *sources)


def test_images_without_a_hit_are_kept_and_counted(tmp_path, assert_equals_sources):
    images = showers(80)
    images[[3, 50]] = 0
    path = write_hdf5(tmp_path / "both.hdf5", images, np.arange(80) % 2)
    ingest_to(tmp_path / "out.zarr", path)
    assert_equals_sources(tmp_path / "out.zarr", path)
    assert open_group(tmp_path / "out.zarr").attrs["empty_images"] == 2


def test_the_folders_of_the_destination_are_made(pair, tmp_path):
    ingest_to(tmp_path / "some" / "where" / "out.zarr", *pair)
    assert open_group(tmp_path / "some" / "where" / "out.zarr")["image"].shape == (140, 32, 32, 2)


def test_overwrite_replaces_a_store(pair, tmp_path):
    ingest_to(tmp_path / "out.zarr", *pair)
    ingest_to(tmp_path / "out.zarr", *pair, "--overwrite", "--seed", 5)
    assert open_group(tmp_path / "out.zarr").attrs["seed"] == 5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["electrons.hdf5", "out.zarr", "photons.hdf5"]


def test_a_store_stays_as_it_was_if_what_should_replace_it_is_refused(pair, tmp_path):
    ingest_to(tmp_path / "out.zarr", *pair)
    before = content(tmp_path / "out.zarr")
    bad = write_hdf5(tmp_path / "bad.hdf5", np.full((60, 32, 32, 2), np.nan, np.float32), 1)
    assert run_ingest(pair[0], bad, "--output", tmp_path / "out.zarr", "--overwrite").status == 1
    assert content(tmp_path / "out.zarr") == before


@pytest.fixture
def interrupted(pair, tmp_path, monkeypatch):
    """Return the listing of a folder where an ingest was interrupted after its shards were written."""

    def fail(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("ingest.completion.write_tables", fail)
        assert run_ingest(*pair, "--output", tmp_path / "out.zarr").status == 1
    assert not (tmp_path / "out.zarr").exists()
    return pair


def test_an_interrupted_ingest_goes_on_to_the_same_content(interrupted, tmp_path):
    assert any(path.name.startswith(".out.zarr") for path in tmp_path.iterdir())
    ingest_to(tmp_path / "out.zarr", *interrupted)
    ingest_to(tmp_path / "direct.zarr", *interrupted)
    assert content(tmp_path / "out.zarr") == content(tmp_path / "direct.zarr")
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_an_ingest_of_something_else_is_refused_where_one_was_interrupted(interrupted, tmp_path):
    outcome = run_ingest(*interrupted, "--output", tmp_path / "out.zarr", "--seed", 1)
    assert outcome.status == 1
    assert "an interrupted ingest has seed=0, this one 1" in outcome.err


@pytest.mark.parametrize("words", [("--memory", "1MiB"), ("--split", "0.999,0.0005,0.0005")], ids=["memory", "split"])
def test_a_refused_option_does_not_cost_the_work_of_an_interrupted_ingest(interrupted, tmp_path, words):
    def listing():
        return sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*"))

    before = listing()
    assert run_ingest(*interrupted, "--output", tmp_path / "out.zarr", *words).status == 1
    assert listing() == before


def test_the_challenges_split_takes_the_first_rows_of_each_class_for_training(tmp_path):
    photons = write_hdf5(tmp_path / "p.hdf5", showers(66, 1), 0)
    electrons = write_hdf5(tmp_path / "e.hdf5", showers(66, 2), 1)
    ingest_to(tmp_path / "out.zarr", photons, electrons, "--split", "challenge-scaled")
    group = open_group(tmp_path / "out.zarr")
    for name, first, last in (("train", 0, 50), ("validation", 50, 58), ("test", 58, 66)):
        part = slice(*group.attrs["split_ranges"][name])
        for number in (0, 1):
            rows = group["source_row"][part][group["source_file"][part] == number]
            assert sorted(rows.tolist()) == list(range(first, last))


def test_without_arguments_the_bundled_sample_is_used_and_it_is_said(tmp_path, monkeypatch, sample_sources):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("ingest.chosen_sources.SAMPLES", tmp_path / "sample")
    folder = tmp_path / "sample" / "electron-photon"
    folder.mkdir(parents=True)
    write_hdf5(folder / "p_geant4.hdf5", showers(40, 1), 0)
    write_hdf5(folder / "e_geant4.hdf5", showers(40, 2), 1)
    outcome = run_ingest()
    assert outcome.status == 0, outcome.err
    assert "using the bundled sample: a Geant4 simulation" in outcome.err
    assert open_group(tmp_path / "data" / "electron-photon.zarr").attrs["simulated"] == "Geant4 simulation"


def test_files_in_data_raw_come_before_the_bundled_sample_and_it_is_said(pair, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data" / "raw").mkdir(parents=True)
    for path in pair:
        path.rename(tmp_path / "data" / "raw" / path.name)
    outcome = run_ingest()
    assert outcome.status == 0, outcome.err
    assert "using 2 files in data/raw" in outcome.err
    attributes = open_group(tmp_path / "data" / "electron-photon.zarr").attrs
    assert [source["name"] for source in attributes["sources"]] == ["electrons.hdf5", "photons.hdf5"]
    assert attributes["simulated"] == ""


def test_metadata_is_json_that_any_reader_accepts(bundled):
    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    for path in bundled[0].rglob("zarr.json"):
        json.loads(path.read_text(), parse_constant=refuse)
