import json
import re
import subprocess
import sys

import numpy as np
import pytest
import zarr

from store.digests import write_digests
from store.errors import PlanError, StoreError
from store.opening import open_dataset, open_statistics, open_store
from store.sample_columns import source_type
from store.stream import BatchStream
from tests.examples import SHAPE, tell_tale_images, tell_tale_labels, write_store
from tests.three_classes import CLASSES, make_samples

# Opens a store where this project cannot be imported; a warning is an error.
STRANGER = """
import importlib.abc, json, sys, warnings

class NotInstalled(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("store", "ingest", "train", "evaluate"):
            raise ImportError(f"{name} is not installed here")

sys.meta_path.insert(0, NotInstalled())
import xarray, zarr
warnings.simplefilter("error")
dataset = xarray.open_zarr(sys.argv[1])
dataset.load()
json.dump({
    "modules": [name for name in ("store", "ingest", "numba") if name in sys.modules],
    "sizes": dict(dataset.sizes),
    "dtypes": {name: str(variable.dtype) for name, variable in dataset.variables.items()},
    "coordinates": sorted(map(str, dataset.coords)),
    "attributes": {name: variable.attrs for name, variable in dataset.variables.items()},
    "root": dataset.attrs,
    "first values": dataset["image"].values[:, 0, 0, 0].tolist(),
    "ieta": dataset["ieta"].values.tolist(),
    "channel": dataset["channel"].values.tolist(),
    "split": dataset["split"].values.tolist(),
    "label": dataset["label"].values.tolist(),
}, sys.stdout, default=lambda value: value.tolist())
"""


@pytest.fixture(scope="module")
def seen(made_up, tmp_path_factory):
    """Return what plain xarray shows of a store, in a process that cannot import this project."""
    words = [sys.executable, "-I", "-c", STRANGER, made_up]
    done = subprocess.run(words, cwd=tmp_path_factory.mktemp("elsewhere"), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


def test_plain_xarray_opens_a_store_without_this_project_or_a_warning(seen):
    assert seen["modules"] == []
    assert seen["sizes"] == {"sample": 500, "ieta": 6, "iphi": 7, "channel": 2}
    assert seen["first values"] == list(range(1, 501))
    assert seen["label"] == tell_tale_labels(500).tolist()


def test_plain_xarray_shows_coordinates(seen):
    assert seen["coordinates"] == ["channel", "ieta", "iphi", "source_file", "source_row", "split"]
    assert seen["ieta"] == [-3, -2, -1, 0, 1, 2]
    assert seen["channel"] == ["c0", "c1"]
    assert seen["split"] == [0] * 350 + [1] * 53 + [2] * 97


def test_plain_xarray_shows_names_units_and_meanings(seen):
    attributes = seen["attributes"]
    for name, variable in attributes.items():
        assert variable["long_name"], name
        assert name == "channel" or variable["units"] == "1", name
    assert attributes["image"]["comment"] == "c0: made up; c1: made up"
    assert attributes["label"]["flag_values"] == [0, 1]
    assert attributes["label"]["flag_meanings"] == "photon electron"
    assert attributes["split"]["flag_meanings"] == "train validation test"
    assert attributes["source_file"]["flag_meanings"] == "made_up.hdf5"


def test_types_are_those_of_the_format(seen):
    dtypes = seen["dtypes"]
    assert (dtypes["image"], dtypes["label"], dtypes["split"]) == ("float32", "uint8", "uint8")
    assert (dtypes["source_file"], dtypes["source_row"]) == ("uint8", "int64")


def test_plain_xarray_shows_what_the_store_is(seen):
    root = seen["root"]
    assert (root["format"], root["format_version"], root["Conventions"]) == ("calostream", 2, "CF-1.11")
    assert root["split_ranges"] == {"train": [0, 350], "validation": [350, 403], "test": [403, 500]}


@pytest.mark.parametrize(
    ("split", "start", "stop"), [(None, 0, 500), ("train", 0, 350), ("validation", 350, 403), ("test", 403, 500)]
)
def test_a_split_is_its_range(made_up, split, start, stop):
    dataset = open_dataset(made_up, split=split)
    assert np.array_equal(dataset["image"].values, tell_tale_images(500)[start:stop])
    assert np.array_equal(dataset["label"].values, tell_tale_labels(500)[start:stop])
    assert np.array_equal(dataset["source_row"].values, np.arange(start, stop))


def test_a_dataset_is_lazy_with_one_dask_chunk_per_shard(made_up):
    dataset = open_dataset(made_up)
    assert dataset["image"].chunks == ((64,) * 7 + (52,), (6,), (7,), (2,))
    assert dataset["image"].dims == ("sample", "ieta", "iphi", "channel")


def test_an_unknown_split_is_refused_with_the_known_ones(made_up):
    with pytest.raises(PlanError, match=r"store\.zarr: unknown split 'dev'; known: train, validation, test"):
        open_dataset(made_up, split="dev")


def test_a_store_knows_its_spec(made_up):
    store = open_store(str(made_up))
    assert (store.spec.name, store.image.shape) == ("electron-photon", (500, *SHAPE))
    assert store.digest == store.attributes["content_digest"]


def no_path(path):
    pass


def a_file(path):
    path.write_text("{}")


def an_empty_folder(path):
    path.mkdir()


def a_zarr_array(path):
    zarr.create_array(path, shape=(3,), dtype="f4")


def a_zarr_of_version_2(path):
    zarr.create_group(path, zarr_format=2)


def broken_metadata(path):
    path.mkdir()
    (path / "zarr.json").write_text('{"zarr_format": 3, "node_ty')


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (no_path, "no store here; `ingest --output {path}` makes one"),
        (a_file, "is a file, and a store is a folder; `ingest` makes one from HDF5 or Parquet files"),
        (an_empty_folder, "is a folder without a store; a store is a folder with a file zarr.json"),
        (a_zarr_array, "is a folder without a store; a store is a folder with a file zarr.json"),
        (a_zarr_of_version_2, "is a folder without a store; a store is a folder with a file zarr.json"),
        (broken_metadata, "is a folder without a store; a store is a folder with a file zarr.json"),
    ],
)
def test_what_is_no_store_is_named(tmp_path, make, message):
    path = tmp_path / "thing.zarr"
    make(path)
    for opened in (open_store, open_dataset, open_statistics):
        with pytest.raises(StoreError, match=re.escape(f"{path}: {message.format(path=path)}")):
            opened(path)


def test_a_zarr_group_of_somebody_else_is_named(tmp_path):
    zarr.create_group(tmp_path / "other.zarr", zarr_format=3)
    with pytest.raises(StoreError, match=r"other\.zarr: is a Zarr group, but not a calostream store"):
        open_store(tmp_path / "other.zarr")


def test_a_later_format_version_is_refused_with_all_versions(tmp_path):
    path = write_store(tmp_path / "new.zarr", format_version=3)
    rule = r"new\.zarr: has format version 3, this program reads 1 and 2; install a newer calostream"
    with pytest.raises(StoreError, match=rule):
        open_store(path)


def test_a_store_of_format_version_1_is_read_as_one_of_version_2(made_up, tmp_path):
    old = write_store(tmp_path / "old.zarr", format_version=1)
    files = {path: path.read_bytes() for path in old.rglob("*") if path.is_file() and path.parent.name != "image"}
    for path, content in files.items():
        recent = (made_up / path.relative_to(old)).read_bytes()
        assert content == (recent.replace(b'"format_version": 2', b'"format_version": 1'))
    assert open_store(old).digest == open_store(made_up).digest
    assert open_dataset(old).drop_attrs().identical(open_dataset(made_up).drop_attrs())
    streams = (BatchStream(path, split="train", batch_size=64) for path in (old, made_up))
    for first, second in zip(*streams, strict=True):
        assert np.array_equal(first.image, second.image)
        assert np.array_equal(first.sample, second.sample)


def test_a_store_without_statistics_says_how_to_compute_them(made_up):
    with pytest.raises(StoreError, match=f"no statistics; `ingest statistics {re.escape(str(made_up))}` computes them"):
        open_statistics(made_up)


def test_columns_have_the_types_that_the_sources_gave_them(three_classes):
    samples, dataset = make_samples(60, 1), open_dataset(three_classes)
    assert list(dataset.data_vars) == ["image", "pt", "event", "weight"]
    for name in ("pt", "event", "weight", "label"):
        expected = getattr(samples, name)
        assert dataset[name].dtype == expected.dtype
        assert np.array_equal(dataset[name], expected[dataset["source_row"]]), name
    assert dataset["class_name"].values.tolist() == [CLASSES[code] for code in dataset["label"].values]
    assert dataset["weight"].attrs == {"long_name": "weight of the sample", "units": "1"}
    event = int(dataset["event"][7])
    assert event > 2**53
    position = np.flatnonzero(zarr.open_group(three_classes, mode="r")["event"][:42] == event)
    stream = BatchStream(
        three_classes, split="train", batch_size=9, where=f"event == {event}", columns=("event", "weight")
    )
    (batch,) = stream
    assert sorted(batch.sample) == position.tolist()
    assert (batch.columns["event"].dtype, batch.columns["weight"].dtype) == (np.int64, np.float32)
    assert np.all(batch.columns["event"] == event)


def test_sources_are_numbered_in_the_smallest_type_that_is_enough(tmp_path):
    types = {1: "uint8", 256: "uint8", 257: "uint16", 65_536: "uint16", 65_537: "uint32"}
    assert {sources: source_type(sources).name for sources in types} == types
    number = np.arange(500) % 257
    listed = [{"name": f"{k}.h5", "size": 1, "sha256": "0" * 64, "rows": 2} for k in range(257)]
    path = write_store(tmp_path / "many.zarr", sources=listed, source_file=number)
    opened = open_dataset(path)["source_file"]
    assert opened.dtype == np.uint16
    assert np.array_equal(opened, number)
    group = zarr.open_group(path, mode="r+")
    group.create_array("source_file", data=number.astype(np.uint8), dimension_names=("sample",), overwrite=True)
    write_digests(path)
    with pytest.raises(StoreError, match="source_file: is uint8 instead of uint16"):
        open_store(path)
