"""Data sets that are described in files: from a source file to a store to batches."""

import json
import re
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ingest.describe import describe_file
from store.datasets import QUARK_GLUON, find_dataset
from store.errors import SourceError
from store.opening import open_dataset, open_statistics, open_store
from store.sources import open_source
from store.stream import BatchStream
from tests.examples import run_ingest
from tests.jets import HDF5 as JETS
from tests.jets import PARQUET as JETS_IN_PARQUET
from tests.jets import write_jet_store

PAGE = Path(__file__).parents[2] / "docs" / "data-sets.md"
SAMPLES = Path(__file__).parents[2] / "ingest" / "sample"


def write_muons(folder: Path) -> Path:
    """Write the description of docs/data-sets.md."""
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    path = folder / "muons.toml"
    path.write_text(example)
    return path


def test_a_third_data_set_is_a_file_and_nothing_else(tmp_path):
    description = write_muons(tmp_path)
    images, random = np.zeros((40, 16, 16, 1), np.float32), np.random.default_rng(0)
    images[:, 8, 8, 0] = random.random(40)
    source, path = tmp_path / "muons.hdf5", tmp_path / "muons.zarr"
    with h5py.File(source, "w") as file:
        file["hits"], file["charge"], file["track/eta"] = images, np.arange(40) % 2, random.random(40)
    outcome = run_ingest(source, "--dataset", description, "--output", path)
    assert outcome.status == 0, outcome.err
    for shown in ("Muons and antimuons", "adc", "eta", "pseudorapidity"):
        assert shown in outcome.out
    spec = find_dataset(description)
    description.unlink()
    assert open_store(path).spec == spec
    assert "40 images equal" in run_ingest("verify", path, source).out
    dataset = open_dataset(path)
    assert np.array_equal(dataset["image"], images[dataset["source_row"]])
    assert set(dataset["class_name"].values) == {"minus", "plus"}
    assert open_statistics(path)["variable"].values.tolist() == ["eta"]
    stream = BatchStream(path, split="train", batch_size=8)
    assert stream.reader == "blocks"
    for batch in stream:
        assert np.array_equal(batch.image, images[dataset["source_row"].values[batch.sample]])
        assert np.array_equal(batch.label, dataset["source_row"].values[batch.sample] % 2)
    selected = tmp_path / "selected.zarr"
    assert run_ingest("select", path, "--where", "eta > 0.01", "--output", selected).status == 0
    assert open_store(selected).spec == spec


def test_images_in_float64_are_rounded_once_the_description_says_so(tmp_path):
    images = np.random.default_rng(0).random((40, 16, 16, 1))
    source, path, description = tmp_path / "muons.hdf5", tmp_path / "muons.zarr", tmp_path / "muons.toml"
    with h5py.File(source, "w") as file:
        file["hits"], file["charge"] = images, np.arange(40) % 2
    description.write_text(run_ingest("describe", source).out)
    refused = run_ingest(source, "--dataset", description, "--output", path)
    assert refused.status == 1
    assert '"round = true" under [image] in the description of the data set rounds such values' in refused.err
    description.write_text(description.read_text().replace("# round = true", "round = true"))
    assert run_ingest(source, "--dataset", description, "--output", path).status == 0
    assert open_store(path).spec.rounded
    dataset = open_dataset(path)
    assert np.array_equal(dataset["image"], images.astype(np.float32)[dataset["source_row"]])
    assert "40 images equal" in run_ingest("verify", path, source).out


FORMS = ("channel-last", "channel-first", "no channel axis", "lists", "lists, channel-last", "bytes")
SHAPES = ((1, 1, 1), (5, 5, 1), (1, 257, 1), (40, 56, 8), (3, 2, 2))


@pytest.mark.parametrize(
    ("shape", "form"),
    [
        *((shape, "channel-last") for shape in SHAPES),
        *(
            ((40, 56, 8), form)
            for form in ("channel-first", "lists", "lists, channel-last", "bytes", "flat", "tensors")
        ),
        *(((1, 1, 1), form) for form in FORMS[1:]),
        *(
            pytest.param(shape, form, marks=pytest.mark.slow)
            for form in FORMS[1:]
            for shape in SHAPES[1:]
            if shape != (40, 56, 8) and (shape[2] == 1 or form != "no channel axis")
        ),
    ],
)
def test_images_of_any_shape_and_form_are_stored_bit_for_bit(tmp_path, shape, form):
    images = np.random.default_rng(0).standard_normal((20, *shape)).astype(np.float32)
    first = np.moveaxis(images, -1, 1)
    label = np.arange(20) % 2
    channels = ", ".join(f'{{ name = "c{k}" }}' for k in range(shape[2]))
    layout = f"layout = {form.split(', ')[-1]!r}" if "channel-" in form else ""
    description = tmp_path / "any.toml"
    description.write_text(
        f'name = "any"\ntitle = "Any"\nimage = {{ keys = ["X"], shape = {list(shape)}, channels = [{channels}] }}\n'
        f'label = {{ key = "y", classes = ["a", "b"] }}\n'.replace("keys", f"{layout}, keys" if layout else "keys")
    )
    source, path = tmp_path / "source", tmp_path / "any.zarr"
    if form in ("channel-last", "channel-first", "no channel axis", "flat"):
        stored = {
            "channel-last": images,
            "channel-first": first,
            "no channel axis": images[..., 0],
            "flat": images.reshape(20, -1),
        }[form]
        with h5py.File(source, "w") as file:
            file.create_dataset("X", data=stored, chunks=(7, *stored.shape[1:]), compression="gzip")
            file["y"] = label
    else:
        width = pa.binary(images[0].nbytes)
        column = {
            "lists": lambda: pa.array(first.tolist()),
            "lists, channel-last": lambda: pa.array(images.tolist()),
            "tensors": lambda: pa.FixedShapeTensorArray.from_numpy_ndarray(images),
            "bytes": lambda: pa.array([image.tobytes() for image in images], width),
        }[form]()
        pq.write_table(pa.table({"X": column, "y": label}), source)
    outcome = run_ingest(source, "--dataset", description, "--output", path)
    assert outcome.status == 0, outcome.err
    store = open_store(path)
    row = store.column("source_row")
    assert np.array_equal(store.image[:], images[row])
    stream = BatchStream(path, split="train", batch_size=4)
    assert stream.reader == "blocks"
    for batch in stream:
        assert np.array_equal(batch.image, images[row[batch.sample]])
    assert run_ingest("verify", path, source).status == 0


def test_a_store_of_an_earlier_version_has_a_name_and_no_description(tmp_path):
    path = write_jet_store(tmp_path)
    metadata = json.loads((path / "zarr.json").read_text())
    del metadata["attributes"]["description"]
    (path / "zarr.json").write_text(json.dumps(metadata))
    assert open_store(path).spec == QUARK_GLUON
    assert len(next(iter(BatchStream(path, split="train", batch_size=4))).image) == 4
    assert open_dataset(path)["channel"].values.tolist() == ["tracks", "ecal", "hcal"]
    assert run_ingest("info", path).status == 0


def test_a_mistake_in_the_file_is_one_line_and_nothing_is_written(tmp_path):
    description = write_muons(tmp_path)
    description.write_text(description.read_text().replace("shape", "shpae"))
    outcome = run_ingest(JETS, "--dataset", description, "--output", tmp_path / "a.zarr")
    assert outcome.status == 1
    assert outcome.err == f"error: {description}: unknown key 'image.shpae'; did you mean image.shape?\n"
    assert [path.name for path in tmp_path.iterdir()] == ["muons.toml"]


def test_the_default_store_has_the_name_of_the_data_set(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    description = tmp_path / "my.toml"
    description.write_text(find_text(JETS).replace('name = "quark-gluon_pythia_n20"', 'name = "mine"'))
    assert run_ingest(JETS, "--dataset", "my.toml").status == 0
    assert (tmp_path / "data" / "mine.zarr").is_dir()


def find_text(path: Path) -> str:
    text = run_ingest("describe", path).out
    assert "GUESS" in text
    return text


@pytest.mark.parametrize(
    ("sources", "dataset"),
    [
        (sorted((SAMPLES / "electron-photon").iterdir()), "electron-photon"),
        (sorted((SAMPLES / "quark-gluon").iterdir()), "quark-gluon"),
        ([JETS], "quark-gluon"),
        ([JETS_IN_PARQUET], "quark-gluon"),
    ],
    ids=["showers", "jets", "a few jets", "jets in Parquet"],
)
def test_a_printed_description_is_accepted_and_reads_the_same_images(tmp_path, sources, dataset):
    description, built_in = tmp_path / "printed.toml", find_dataset(dataset)
    description.write_text(find_text(sources[0]))
    spec = find_dataset(description)
    assert (spec.image_shape, spec.seed, spec.label_key) == (built_in.image_shape, built_in.seed, "y")
    assert {variable.name for variable in built_in.variables} <= {variable.name for variable in spec.variables}
    for path in sources:
        ours, theirs = open_source(path, spec), open_source(path, built_in)
        assert np.array_equal(ours.read(0, 20), theirs.read(0, 20))
        assert np.array_equal(ours.labels(), theirs.labels())
    assert f"--dataset {dataset} fits" in description.read_text()


def test_a_printed_description_makes_the_same_store(tmp_path):
    description = tmp_path / "printed.toml"
    description.write_text(find_text(JETS))
    options = ("--split", "0.6,0.2,0.2", "--output")
    assert run_ingest(JETS, "--dataset", description, *options, tmp_path / "a.zarr").status == 0
    assert run_ingest(JETS, "--dataset", "quark-gluon", *options, tmp_path / "b.zarr").status == 0
    a, b = open_store(tmp_path / "a.zarr"), open_store(tmp_path / "b.zarr")
    assert np.array_equal(a.image[:], b.image[:])
    assert all(np.array_equal(a.column(name), b.column(name)) for name in ("label", "source_row", "pt", "m0"))


def test_odd_names_and_forms_are_described(tmp_path):
    path = tmp_path / "my odd file.h5"
    with h5py.File(path, "w") as file:
        file["calo/cells"] = np.ones((10, 3, 20, 30), np.float16)
        file["is_signal"], file["class"] = np.arange(10) % 2, np.arange(10)
        file["2 pt [GeV]"], file["label_"], file["text"] = np.ones(10), np.ones((10, 1)), [b"a"] * 10
        file["calo/flat"] = np.ones((10, 7))
    description = tmp_path / "odd.toml"
    description.write_text(describe_file(path))
    spec = find_dataset(description)
    assert (spec.name, spec.image_keys, spec.image_shape) == ("my-odd-file", ("calo/cells",), (20, 30, 3))
    assert (spec.layout, spec.label_key) == ("channel-first", "is_signal")
    keys = {variable.key: variable.name for variable in spec.variables}
    assert keys == {"2 pt [GeV]": "_pt_GeV_", "class": "class_1", "label_": "label_"}
    assert "# calo/flat: (10, 7) float64" in description.read_text()
    assert open_source(path, spec).read(0, 10).shape == (10, 20, 30, 3)


def test_columns_of_any_type_beside_the_images_do_not_matter(tmp_path):
    path, images = tmp_path / "a.parquet", np.ones((10, 20, 20, 3), np.float32)
    tensors = pa.FixedShapeTensorArray.from_numpy_ndarray(np.ones((10, 4, 5)))
    columns = {
        "X": pa.array([image.tobytes() for image in images], pa.binary(images[0].nbytes)),
        "name": ["a"] * 10,
        "tensor": tensors,
        "constituents": [[{"pt": 1.0}] * 3] * 10,
        "hits": [[1.0] * 7] * 10,
        "labels": pa.array(["0", "1"] * 5).dictionary_encode(),
        "truth": np.arange(10) % 2 == 0,
        "E": np.ones(10, np.float16),
    }
    pq.write_table(pa.table(columns), path)
    description = tmp_path / "a.toml"
    description.write_text(find_text(path))
    spec = find_dataset(description)
    assert (spec.image_shape, [v.name for v in spec.variables]) == ((20, 20, 3), ["truth", "E"])
    assert (spec.label_key, spec.classes) == ("labels", ("0", "1"))
    assert np.array_equal(open_source(path, spec).read(0, 10), images)
    assert "# hits: (10, 7) list<element: double>" in description.read_text()


def test_a_file_without_images_is_refused_with_what_it_has(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["x"] = np.ones(5)
    with pytest.raises(
        SourceError, match=r"a\.h5: nothing looks like images, numbers .*; the file has x \(5,\) float64"
    ):
        describe_file(path)
    assert run_ingest("describe", tmp_path / "none.h5").err == f"error: {tmp_path / 'none.h5'}: no such file\n"
