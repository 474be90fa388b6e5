"""The whole ingest of twenty jets of a Pythia simulation, from HDF5 and from Parquet."""

import re
import shutil
from pathlib import Path

import h5py
import numpy as np
import pyarrow.parquet as pq
import pytest
import zarr

from store.digests import write_digests
from store.opening import open_dataset, open_statistics, open_store
from store.readers.sample_reader import has_sample_blocks
from store.stream import BatchStream
from tests.examples import run_ingest, showers, write_hdf5

JETS = Path(__file__).parent / "jets"
HDF5, PARQUET = JETS / "quark-gluon_pythia_n20.hdf5", JETS / "quark-gluon_pythia_n20.snappy.parquet"


def ingest(output, *words):
    outcome = run_ingest(*words, "--dataset", "quark-gluon", "--output", output)
    assert outcome.status == 0, outcome.err
    return outcome


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return a folder with a store from each format; no test changes it."""
    folder = tmp_path_factory.mktemp("jets")
    ingest(folder / "hdf5.zarr", HDF5)
    ingest(folder / "parquet.zarr", PARQUET)
    return folder


def columns(path, *names):
    group = zarr.open_group(path, mode="r")
    return [group[name][:] for name in names]


@pytest.mark.parametrize("form", ["hdf5", "parquet"])
def test_every_jet_is_in_the_store_bit_for_bit(made, form):
    image, label, pt, m0, row = columns(made / f"{form}.zarr", "image", "label", "pt", "m0", "source_row")
    with h5py.File(HDF5) as file:
        assert np.array_equal(image.view("<u4"), file["X_jets"][:][row].view("<u4"))
        assert image[..., 1].min() < 0, "noise below zero is kept"
        for stored, key in ((label, "y"), (pt, "pt"), (m0, "m0")):
            assert np.array_equal(stored, file[key][:][row])
    assert np.array_equal(np.sort(row), np.arange(20))
    assert (pt.dtype, m0.dtype) == (np.float32, np.float32)


def test_both_forms_of_the_same_jets_give_the_same_content(made):
    stores = open_store(made / "hdf5.zarr"), open_store(made / "parquet.zarr")
    assert stores[0].digest == stores[1].digest
    assert open_statistics(stores[0].path).identical(open_statistics(stores[1].path))


def test_several_files_differ_in_provenance_alone(made, tmp_path):
    table = pq.read_table(PARQUET)
    for name, part, size in (("a", table[:7], 1), ("b", table[7:], 5)):
        pq.write_table(part, tmp_path / f"{name}.parquet", row_group_size=size)
    ingest(tmp_path / "out.zarr", tmp_path / "a.parquet", tmp_path / "b.parquet")
    names = "image", "label", "pt", "m0", "split"
    for one, two in zip(columns(tmp_path / "out.zarr", *names), columns(made / "hdf5.zarr", *names), strict=True):
        assert np.array_equal(one, two)
    file, row = columns(tmp_path / "out.zarr", "source_file", "source_row")
    assert np.array_equal(row + 7 * file, *columns(made / "hdf5.zarr", "source_row"))
    assert open_store(tmp_path / "out.zarr").digest != open_store(made / "hdf5.zarr").digest


def test_variables_are_named_and_in_the_content_digest(made, tmp_path):
    dataset = open_dataset(made / "hdf5.zarr", split="train")
    assert dataset["pt"].attrs == {"long_name": "jet transverse momentum", "units": "GeV"}
    assert dataset["m0"].attrs == {"long_name": "jet mass", "units": "GeV"}
    assert dataset["pt"].dims == dataset["m0"].dims == ("sample",)
    assert dataset["channel"].values.tolist() == ["tracks", "ecal", "hcal"]
    assert dataset["label"].attrs["flag_meanings"] == "gluon quark"
    assert dataset["ieta"].values[[0, 62, 124]].tolist() == [-62, 0, 62]
    shutil.copy(HDF5, tmp_path / "a.hdf5")
    with h5py.File(tmp_path / "a.hdf5", "a") as file:
        file["m0"][3] += 1
    ingest(tmp_path / "out.zarr", tmp_path / "a.hdf5")
    assert open_store(tmp_path / "out.zarr").digest != open_store(made / "hdf5.zarr").digest


def test_jets_are_read_by_the_fast_reader(made):
    image = open_store(made / "hdf5.zarr").image
    assert (image.chunks, image.shards) == ((2, 125, 125, 3), (20, 125, 125, 3))
    assert has_sample_blocks(image)
    stream = BatchStream(made / "hdf5.zarr", split="train", batch_size=4)
    assert stream.reader == "blocks"
    stored = open_dataset(made / "hdf5.zarr")["image"].values
    for batch in stream:
        assert np.array_equal(batch.image, stored[batch.sample])


def test_variants_of_the_file_are_read_alike(made, tmp_path):
    with h5py.File(HDF5) as file, h5py.File(tmp_path / "a.hdf5", "w") as variant:
        variant["X"] = file["X_jets"][:].astype("<f8")
        variant["y"] = file["y"][:].astype(np.int64)[:, None]
        variant["pt"], variant["m0"] = file["pt"][:].astype("<f8"), file["m0"][:].astype(">f4")
    ingest(tmp_path / "out.zarr", tmp_path / "a.hdf5")
    assert open_store(tmp_path / "out.zarr").digest == open_store(made / "hdf5.zarr").digest


def test_info_and_statistics(made):
    outcome = run_ingest("info", made / "parquet.zarr")
    for expected in ("20 of 125 x 125 x 3", "Pythia simulation, not CMS data", "jet transverse momentum, GeV", "hcal"):
        assert expected in outcome.out
    statistics = open_statistics(made / "hdf5.zarr")
    image, label = columns(made / "hdf5.zarr", "image", "label")
    for code, name in enumerate(("gluon", "quark")):
        values, one = image[:14][label[:14] == code].astype(np.float64), statistics.sel({"class": name})
        np.testing.assert_allclose(one["mean"], values.mean((0, 1, 2)), rtol=1e-9)
        np.testing.assert_allclose(one["std"], values.std((0, 1, 2)), rtol=1e-9)
        assert np.array_equal(one["minimum"], values.min((0, 1, 2)))
    pt, label = (values[:14] for values in columns(made / "hdf5.zarr", "pt", "label"))
    quarks = statistics.sel({"class": "quark", "variable": "pt"})
    np.testing.assert_allclose(quarks["variable_mean"], pt[label == 1].astype(np.float64).mean(), rtol=1e-12)
    (row,) = re.findall(r"^ *quark +pt +GeV +(.*?) *$", outcome.out, re.MULTILINE)
    assert float(row.split()[0]) == pytest.approx(float(quarks["variable_mean"]), rel=5e-4)  # four digits
    assert float(row.split()[-1]) == pytest.approx(pt[label == 1].max(), rel=5e-4)
    outcome = run_ingest("info", made / "hdf5.zarr", "--reference")
    assert outcome.status == 1
    assert "no statistics are published for dataset 'quark-gluon', only for electron-photon" in outcome.err


@pytest.mark.parametrize(("form", "source"), [("hdf5", HDF5), ("parquet", PARQUET)])
def test_verify_compares_images_labels_and_variables(made, tmp_path, form, source):
    assert "20 images equal to their sources" in run_ingest("verify", made / f"{form}.zarr", source).out
    store = shutil.copytree(made / f"{form}.zarr", tmp_path / "out.zarr")
    zarr.open_array(store / "pt")[3] += 1
    write_digests(store)
    outcome = run_ingest("verify", store, source)
    assert outcome.status == 1
    assert f"1 samples differ from {source}: 3" in outcome.err
    shutil.rmtree(store / "m0")
    write_digests(store)
    assert f"{store}: no array m0" in run_ingest("verify", store).err


def test_statistics_can_be_computed_again(made, tmp_path):
    store = shutil.copytree(made / "parquet.zarr", tmp_path / "out.zarr")
    assert run_ingest("statistics", store).status == 0
    assert open_statistics(store).identical(open_statistics(made / "parquet.zarr"))
    assert run_ingest("verify", store, PARQUET).status == 0


def test_an_interrupted_ingest_goes_on_to_the_same_content(made, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    words = PARQUET, "--dataset", "quark-gluon", "--output", tmp_path / "out.zarr"
    with monkeypatch.context() as patch:
        patch.setattr("ingest.completion.write_tables", fail)
        assert run_ingest(*words).status == 1
    assert not (tmp_path / "out.zarr").exists()
    monkeypatch.setattr("ingest.external_shuffle._compress", None)  # a finished stretch is not read again
    ingest(tmp_path / "out.zarr", PARQUET)
    assert open_store(tmp_path / "out.zarr").digest == open_store(made / "parquet.zarr").digest
    assert [path.name for path in tmp_path.iterdir()] == ["out.zarr"]


WRONG = {
    "no variable": ("m0", None, "no dataset 'm0'"),
    "short": ("m0", np.ones(19), r"X_jets has 20 rows but m0 has shape (19,)"),
    "text": ("pt", np.array([b"high"] * 20), "pt has dtype |S4, expected numbers"),
    "not finite": ("pt", np.array([70.0] * 19 + [np.inf]), "pt[19] = inf is not finite"),
    "label": ("y", np.full(20, 3), "y[0] = 3; labels must be 0 (gluon), 1 (quark)"),
}


@pytest.mark.parametrize(("key", "values", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_column_is_refused_in_one_line_and_leaves_nothing(tmp_path, key, values, message):
    shutil.copy(HDF5, tmp_path / "a.hdf5")
    with h5py.File(tmp_path / "a.hdf5", "a") as file:
        del file[key]
        if values is not None:
            file[key] = values
    outcome = run_ingest(tmp_path / "a.hdf5", "--dataset", "quark-gluon", "--output", tmp_path / "out.zarr")
    assert outcome.status == 1
    assert f"error: {tmp_path / 'a.hdf5'}: {message}" in outcome.err
    assert [path.name for path in tmp_path.iterdir()] == ["a.hdf5"]


def test_a_wrong_parquet_file_leaves_nothing(tmp_path):
    table = pq.read_table(PARQUET)
    table = table.set_column(2, "m0", [[np.nan] * 20])
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=1)
    outcome = run_ingest(tmp_path / "a.parquet", "--dataset", "quark-gluon", "--output", tmp_path / "out.zarr")
    assert outcome.status == 1
    assert f"error: {tmp_path / 'a.parquet'}: m0[0] = nan is not finite" in outcome.err
    assert [path.name for path in tmp_path.iterdir()] == ["a.parquet"]


def test_a_sample_of_jets_is_bundled(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = run_ingest("--dataset", "quark-gluon", "--sample")
    assert outcome.status == 0, outcome.err
    assert "using the bundled sample: a Pythia simulation, not CMS data" in outcome.err
    store = open_store("data/quark-gluon.zarr")
    assert store.image.shape == (400, 125, 125, 3)
    assert store.attributes["simulated"] == "Pythia simulation"


def test_files_of_both_data_sets_may_lie_in_data_raw(tmp_path, monkeypatch):
    raw = tmp_path / "data" / "raw"
    raw.mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    shutil.copy(PARQUET, raw)
    for label in (0, 1):
        write_hdf5(raw / f"showers_{label}.hdf5", showers(20, label), label)
    ingest("jets.zarr")
    assert [source["name"] for source in open_store("jets.zarr").attributes["sources"]] == [PARQUET.name]
    assert run_ingest("--output", "showers.zarr").status == 0
    names = [source["name"] for source in open_store("showers.zarr").attributes["sources"]]
    assert names == ["showers_0.hdf5", "showers_1.hdf5"]
    (raw / PARQUET.name).write_bytes(PARQUET.read_bytes()[:-9])  # broken: its data set cannot be determined
    outcome = run_ingest("--dataset", "quark-gluon", "--output", "again.zarr")
    assert f"{PARQUET.name}: not a readable Parquet file" in outcome.err


def test_a_data_set_without_files_and_sample_wants_sources(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("ingest.chosen_sources.SAMPLES", tmp_path)
    outcome = run_ingest("--dataset", "quark-gluon")
    assert outcome.status == 2
    assert "data/raw has none of quark-gluon" in outcome.err
    assert not list(tmp_path.iterdir())


def test_what_simulated_the_jets_can_be_said_where_the_file_does_not(tmp_path):
    source = tmp_path / "QCDToGGQQ_run0.parquet"
    pq.write_table(pq.read_table(PARQUET).replace_schema_metadata(None), source)
    words = (source, "--dataset", "quark-gluon", "--output", tmp_path / "jets.zarr")
    for more, expected in (((), ""), (("--simulation", "Pythia simulation"), "Pythia simulation")):
        outcome = run_ingest(*words, *more, "--overwrite")
        assert outcome.status == 0, outcome.err
        assert open_store(tmp_path / "jets.zarr").attributes["simulated"] == expected


@pytest.mark.parametrize("source", [HDF5, PARQUET], ids=lambda path: path.suffix)
def test_jets_taken_for_showers_and_showers_for_jets_are_told_the_data_set_that_fits(source, tmp_path):
    outcome = run_ingest(source, "--output", tmp_path / "out.zarr")
    assert outcome.status == 1
    assert outcome.err.endswith("; --dataset quark-gluon fits\n")
    images = write_hdf5(tmp_path / "showers.hdf5", showers(60), np.arange(60) % 2)
    outcome = run_ingest(images, "--dataset", "quark-gluon", "--output", tmp_path / "out.zarr")
    assert outcome.status == 1
    assert outcome.err.endswith("; --dataset electron-photon fits\n")
    outcome = run_ingest(images, source, "--output", tmp_path / "out.zarr")
    assert outcome.status == 1
    assert "fits" not in outcome.err, "no data set has both"
