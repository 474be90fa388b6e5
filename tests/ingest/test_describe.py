"""Descriptions of files: what is guessed at, and that ``--dataset`` takes what is printed, as it is."""

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ingest.describe import describe_file
from store.datasets import find_dataset
from store.sources.opening import open_tried
from tests import three_classes
from tests.store.sources.test_image_forms import first, flat, lists, tensors

ROWS = 12
LABEL = np.arange(ROWS) % 3
IMAGES = np.random.default_rng(0).integers(0, 9, (ROWS, 6, 7, 2)).astype(np.float32)


def write(path, **columns):
    if path.suffix == ".parquet":
        pq.write_table(pa.table(columns), path)
    else:
        with h5py.File(path, "w") as file:
            for name, values in columns.items():
                file[name] = values
    return path


def described(path):
    """Return the description that is printed for a file, as a data set, and the file opened with it."""
    toml = path.with_suffix(".toml")
    toml.write_text(describe_file(path))
    spec = find_dataset(toml)
    source = open_tried(path, spec)
    source.labels(), source.variables(), source.weights()
    return spec, source


@pytest.mark.parametrize("suffix", ["hdf5", "parquet"])
def test_three_classes_with_weights_and_events_are_described(tmp_path, suffix):
    samples = three_classes.make_samples(32, seed=1)
    kind = three_classes.write_hdf5 if suffix == "hdf5" else three_classes.write_parquet
    spec, source = described(kind(tmp_path / f"a.{suffix}", samples))
    assert (spec.image_shape, spec.layout, spec.label_key, spec.weight_key) == (
        (40, 56, 8),
        "channel-last",
        "class",
        "w",
    )
    assert spec.classes == (("class-0", "class-1", "class-2") if suffix == "hdf5" else ("qcd", "top", "w"))
    assert {variable.key for variable in spec.variables} == {"pt", "event"}
    assert np.array_equal(source.read(0, 32), samples.image)
    assert np.array_equal(source.labels(), samples.label)
    assert np.array_equal(source.variables()["event"], samples.event)
    text = (tmp_path / "a.toml").read_text()
    assert "int64, int64 in a store" in text
    assert text.count("GUESS") > 10


TEXTS = [("w", "top", "qcd")[label] for label in LABEL]
LABELS = {
    "classes": ({"y": LABEL}, ("class-0", "class-1", "class-2"), None, LABEL),
    "texts": ({"target": TEXTS}, ("qcd", "top", "w"), None, 2 - LABEL),
    "texts under an odd name": ({"process": TEXTS}, ("qcd", "top", "w"), None, 2 - LABEL),
    "minus one and one": ({"odd": np.where(LABEL > 0, 1, -1)}, ("class-0", "class-1"), (-1, 1), LABEL > 0),
    "numbers of particles": (
        {"label": np.array([-11, 22, 211])[LABEL]}, ("class-0", "class-1", "class-2"), (-11, 22, 211), LABEL
    ),
    "numbers under an odd name": (
        {"n": np.arange(ROWS) % 12, "kind": LABEL}, ("class-0", "class-1", "class-2"), None, LABEL
    ),
    "columns": ({"y": np.eye(3, dtype=np.int8)[LABEL]}, ("class-0", "class-1", "class-2"), None, LABEL),
    "columns under an odd name": ({"odd": np.eye(3)[LABEL]}, ("class-0", "class-1", "class-2"), None, LABEL),
    "numbers of rows are no labels": ({"y": np.arange(ROWS), "b": LABEL > 0}, ("class-0", "class-1"), None, LABEL > 0),
    "a class that is not there": ({"y": np.where(LABEL > 0, 3, 0)}, tuple(f"class-{k}" for k in range(4)), None,
                                  np.where(LABEL > 0, 3, 0)),
}  # fmt: skip


@pytest.mark.parametrize("suffix", ["hdf5", "parquet"])
@pytest.mark.parametrize(("columns", "classes", "values", "label"), LABELS.values(), ids=LABELS)
def test_labels_of_every_form_are_found(tmp_path, monkeypatch, suffix, columns, classes, values, label):
    monkeypatch.setattr("ingest.file_entries.probe", lambda *_: None)
    if suffix == "parquet":
        columns = {name: c.tolist() if np.ndim(c) == 2 else c for name, c in columns.items()} | {"X": tensors(IMAGES)}
    else:
        columns = columns | {"X": IMAGES}
    spec, source = described(write(tmp_path / f"a.{suffix}", **columns))
    assert (spec.classes, spec.label_values) == (classes, values)
    assert np.array_equal(source.labels(), label)


def test_without_labels_the_option_is_named_that_tells_them(tmp_path):
    path = write(tmp_path / "a.parquet", X=tensors(IMAGES), pt=np.linspace(0, 1, ROWS))
    text = describe_file(path)
    assert "nothing looks like labels; add key, or tell classes by `ingest --label CLASS=FILES`" in text
    (tmp_path / "a.toml").write_text(text)
    spec = find_dataset(tmp_path / "a.toml")
    assert spec.label_key == ""
    assert open_tried(path, spec, told=1).labels().tolist() == [1] * ROWS


SQUARE = np.random.default_rng(0).integers(0, 9, (ROWS, 5, 5, 3)).astype(np.float32)
FORMS = {
    "tensors": (tensors(IMAGES), IMAGES),
    "tensors of integers, channel-first": (tensors(first(IMAGES).astype(np.int16)), IMAGES),
    "tensors with a permutation": (tensors(first(IMAGES), (1, 2, 0)), IMAGES),
    "tensors without channels": (tensors(IMAGES[..., 0]), IMAGES[..., :1]),
    "lists": (lists(first(IMAGES)), IMAGES),
    "lists of bool": (lists(first(IMAGES > 4)), IMAGES > 4),
    "lists without channels": (lists(IMAGES[..., 0]), IMAGES[..., :1]),
    "flat lists": (lists(flat(SQUARE)), SQUARE),
    "flat lists of fixed size": (lists(flat(SQUARE).astype(np.float16), fixed=True), SQUARE),
    "bytes": (pa.array([image.tobytes() for image in SQUARE], pa.binary(300)), SQUARE),
}


@pytest.mark.parametrize(("column", "images"), FORMS.values(), ids=FORMS)
def test_images_of_every_form_are_described(tmp_path, column, images):
    ragged = pa.array([[1.0] * (20 + row) for row in range(ROWS)])
    spec, source = described(
        write(tmp_path / "a.parquet", y=LABEL > 0, X=column, hits=ragged, vector=[[1.0] * 4] * ROWS)
    )
    assert (spec.image_keys, spec.image_shape) == (("X",), images.shape[1:])
    assert np.array_equal(source.read(0, ROWS), images)


def test_flat_images_and_integers_in_hdf5_are_described(tmp_path):
    spec, source = described(
        write(tmp_path / "a.h5", y=LABEL > 0, X=flat(SQUARE).astype(np.uint8), z=np.ones((ROWS, 7)))
    )
    assert (spec.image_shape, spec.layout) == ((5, 5, 3), "channel-last")
    assert np.array_equal(source.read(0, ROWS), SQUARE)
    assert 'layout = "channel-last"  # GUESS: the order of the values' in (tmp_path / "a.toml").read_text()


def test_weights_that_are_negative_are_a_variable(tmp_path):
    weight = np.where(np.arange(ROWS) == 3, -1.0, 1.0)
    columns = {"X": tensors(IMAGES), "y": LABEL > 0}
    spec, _ = described(write(tmp_path / "a.parquet", weight=weight, **columns))
    assert (spec.weight_key, [variable.name for variable in spec.variables]) == (None, ["weight"])
    spec, _ = described(write(tmp_path / "b.parquet", weight=abs(weight), event_weight=abs(weight), **columns))
    assert (spec.weight_key, [variable.key for variable in spec.variables]) == ("weight", ["event_weight"])
    spec, _ = described(write(tmp_path / "c.parquet", event_weight=abs(weight), **columns))
    assert spec.weight_key == "event_weight"
