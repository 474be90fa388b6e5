"""Images to score, read from source files and stores in blocks."""

import resource
from dataclasses import replace

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import store
from evaluate.images import open_images
from store.datasets import ELECTRON_PHOTON, QUARK_GLUON, find_dataset
from store.errors import ConfigError, SourceError
from tests import three_classes
from tests.examples import showers, write_hdf5

COUNT = 700


@pytest.fixture(scope="module")
def images():
    return showers(COUNT)


@pytest.fixture(scope="module")
def label():
    return np.random.default_rng(1).integers(0, 2, COUNT).astype(np.float32)


def write_parquet(path, images, kind, **columns):
    if kind == "lists":
        values = pa.array(np.moveaxis(images, -1, 1).tolist(), pa.list_(pa.list_(pa.list_(pa.float32()))))
    else:
        values = pa.array([image.tobytes() for image in images], pa.binary(images[0].nbytes))
    pq.write_table(pa.table({"X": values, **columns}), path, row_group_size=7)
    return path


@pytest.mark.parametrize("kind", ["lists", "bytes"])
def test_parquet_holds_the_same_images(kind, images, label, tmp_path, monkeypatch):
    monkeypatch.setattr("evaluate.images.BLOCK_BYTES", 5 * 8192)
    file = write_parquet(tmp_path / "hidden.parquet", images[:18], kind, y=label[:18])
    opened = open_images(file, ELECTRON_PHOTON)
    blocks = list(opened.blocks())
    assert max(map(len, blocks)) <= 5
    np.testing.assert_array_equal(np.concatenate(blocks), images[:18])
    np.testing.assert_array_equal(opened.label, label[:18])


def test_a_store_is_read_in_its_own_order(real_store):
    opened = open_images(real_store, ELECTRON_PHOTON)
    dataset = store.open_dataset(real_store)
    np.testing.assert_array_equal(np.concatenate(list(opened.blocks())), dataset.image.values)
    np.testing.assert_array_equal(opened.label, dataset.label.values)


@pytest.mark.parametrize("options", [{}, {"chunks": (300, 32, 32, 2), "compression": "lzf"}])
def test_hdf5_is_read_in_blocks(options, images, tmp_path, monkeypatch):
    monkeypatch.setattr("evaluate.images.BLOCK_BYTES", 64 * 8192)
    file = write_hdf5(tmp_path / "hidden.hdf5", images.astype(np.float64), 0, **options)
    blocks = list(open_images(file, ELECTRON_PHOTON).blocks())
    assert [len(block) for block in blocks] == [64] * 10 + [60]
    np.testing.assert_array_equal(np.concatenate(blocks), images)
    assert blocks[0].dtype == np.float32


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path, images: path.write_text("PAR1 hello"), "not a readable Parquet file"),
        (lambda path, images: write_parquet(path, images[:, :31], "bytes"), "X has 7936 bytes per row, expected 8192"),
        (
            lambda path, images: write_parquet(path, images[:, :31], "lists"),
            r"X\[0, 0\] has length 31, expected nested lists \(2, 32, 32\)",
        ),
        (
            lambda path, images: pq.write_table(pa.table({"X": pa.array([[[[1.0]]], [[[1.0], [2.0]]]])}), path),
            r"X\[0\] has length 1, expected nested lists",
        ),
        (lambda path, images: pq.write_table(pa.table({"X": [1.0, 2.0]}), path), "X has type double, expected"),
        (
            lambda path, images: pq.write_table(pa.table({"X": pa.array([None, None], pa.binary(8192))}), path),
            r"X\[0\] is missing",
        ),
    ],
)
def test_bad_parquet_is_one_error(make, message, images, tmp_path):
    file = tmp_path / "hidden.parquet"
    make(file, images[:3])
    with pytest.raises(SourceError, match=f"hidden.parquet: .*{message}"):
        list(open_images(file, ELECTRON_PHOTON).blocks())


def test_memory_is_bounded_whatever_the_size_of_the_file(tmp_path):
    """1.6 GB of images."""
    file = tmp_path / "hidden.hdf5"
    with h5py.File(file, "w") as out:
        dataset = out.create_dataset("X", (200_000, 32, 32, 2), "f4", chunks=(2000, 32, 32, 2), compression="lzf")
        dataset[:2000] = np.zeros((2000, 32, 32, 2), np.float32)
        mask, chunk = dataset.id.read_direct_chunk((0, 0, 0, 0))
        for start in range(2000, 200_000, 2000):
            dataset.id.write_direct_chunk((start, 0, 0, 0), chunk, mask)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert sum(len(block) for block in open_images(file, ELECTRON_PHOTON).blocks()) == 200_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000


@pytest.mark.parametrize("write", [three_classes.write_hdf5, three_classes.write_parquet], ids=["HDF5", "Parquet"])
def test_weights_have_the_key_of_the_data_set_and_integers_are_inputs_of_a_model(write, tmp_path):
    samples = three_classes.make_samples(32, seed=1)
    spec = find_dataset(three_classes.write_description(tmp_path / "a.toml"))
    opened = open_images(write(tmp_path / "a", samples), spec, ["event", "pt"])
    assert opened.variables.dtype == np.float32
    np.testing.assert_array_equal(opened.variables, np.stack([samples.event, samples.pt], axis=1).astype(np.float32))
    np.testing.assert_array_equal(opened.label, samples.label)
    np.testing.assert_array_equal(opened.weight, samples.weight)
    assert opened.weight.dtype == np.float64
    assert open_images(tmp_path / "a", replace(spec, weight_key=None)).weight is None


@pytest.mark.parametrize(("known", "message"), [("pt", "known: pt, m0"), (None, "known: none")])
def test_a_variable_that_the_data_set_does_not_have_is_refused(known, message, tmp_path):
    spec = QUARK_GLUON if known else replace(QUARK_GLUON, variables=())
    with pytest.raises(ConfigError, match=f"the data set quark-gluon has no variable 'eta'; {message}"):
        open_images(tmp_path / "jets.hdf5", spec, ["eta"])


def test_a_store_of_another_shape_is_refused(real_store):
    with pytest.raises(SourceError, match=r"images have shape \(32, 32, 2\), expected \(125, 125, 3\)"):
        open_images(real_store, QUARK_GLUON)


def test_memory_is_bounded_whatever_the_size_of_a_row_group(images, tmp_path):
    """164 MB of images in one row group, in blocks of 16 MiB."""
    different = pa.array([image.tobytes() for image in images[:10]], pa.binary(8192))
    column = pa.DictionaryArray.from_arrays(pa.array(np.arange(20_000, dtype=np.int32) % 10), different)
    file = tmp_path / "hidden.parquet"
    pq.write_table(pa.table({"X": column}), file, row_group_size=20_000, store_schema=False)
    assert pq.read_metadata(file).num_row_groups == 1
    before, rows, held = pa.total_allocated_bytes(), 0, 0
    for block in open_images(file, ELECTRON_PHOTON).blocks():
        np.testing.assert_array_equal(block[:10], images[np.arange(rows, rows + 10) % 10])
        rows, held = rows + len(block), max(held, pa.total_allocated_bytes() - before)
    assert rows == 20_000
    assert held < 64 << 20


def test_images_that_look_unlike_the_data_set_are_warned_of(images, label, tmp_path, capsys):
    file = write_hdf5(tmp_path / "swapped.hdf5", images[..., ::-1], label)
    open_images(file, ELECTRON_PHOTON)
    assert f"warning: {file}: 250 images look unlike those of electron-photon: energy is -" in capsys.readouterr().err
    usual = images.copy()
    usual[:, 16, 16, 0] = 4
    open_images(write_hdf5(tmp_path / "usual.hdf5", usual, label), ELECTRON_PHOTON)
    assert capsys.readouterr().err == ""
