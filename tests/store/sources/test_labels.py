"""The class of each row, from labels of every form, and classes that are told: the same for HDF5 and Parquet."""

import re
from dataclasses import replace

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from store.datasets import Channel, DatasetSpec
from store.errors import SourceError
from store.sources import labels, open_sources
from store.sources.opening import open_tried

CLASSES = ("qcd", "top", "w boson")
SPEC = DatasetSpec(
    name="any", title="Any", image_keys=("X",), label_key="y", image_shape=(2, 2, 1),
    channels=(Channel(name="c", long_name="made up"),), classes=CLASSES, seed=(1, 1),
)  # fmt: skip
TWO = replace(SPEC, classes=("minus", "plus"))
LABEL = np.array([0, 1, 2, 1, 0, 2, 2])
ROWS = len(LABEL)
NAMES = [CLASSES[label] for label in LABEL]
PARTICLES = [(21, 6, 24)[label] for label in LABEL]


def write_hdf5(folder, label):
    with h5py.File(folder / "a", "w") as file:
        file["X"] = np.ones((ROWS, 2, 2), np.float32)
        if label is not None:
            file["y"] = label
    return folder / "a"


def write_parquet(folder, label):
    if isinstance(label, np.ndarray) and label.ndim == 2:
        label = label[:, 0] if label.shape[1] == 1 else label.tolist()
    columns = {"X": pa.array(np.ones((ROWS, 4)).tolist()), "y": label}
    pq.write_table(pa.table({name: column for name, column in columns.items() if column is not None}), folder / "a")
    return folder / "a"


@pytest.fixture(params=[write_hdf5, write_parquet], ids=["HDF5", "Parquet"])
def write(request, tmp_path, monkeypatch):
    """Return a function that writes a file with some labels, which are then read three at a time."""
    monkeypatch.setattr("store.sources.hdf5.PIECE_VALUES", 3)
    monkeypatch.setattr("store.sources.parquet_columns.PIECE_VALUES", 3)
    return lambda label: request.param(tmp_path, label)


BOTH = {
    "integers": (LABEL, None),
    "whole numbers as floats": (LABEL.astype(np.float16), None),
    "a column of one": (LABEL[:, None].astype(np.uint8), None),
    "columns of integers": (np.eye(3, dtype=np.int8)[LABEL], None),
    "columns of floats": (np.eye(3)[LABEL], None),
    "columns of bool": (np.eye(3)[LABEL] == 1, None),
    "names": ([*NAMES], None),
    "bytes": ([name.encode() for name in NAMES], None),
    "other numbers": (np.array(PARTICLES, np.int16), (21, 6, 24)),
    "other numbers as floats": (np.array(PARTICLES, float), (21, 6, 24)),
    "other names": ([("g", "t", "W")[label] for label in LABEL], ("g", "t", "W")),
}


@pytest.mark.parametrize(("label", "values"), BOTH.values(), ids=BOTH)
def test_labels_of_every_form_are_classes(write, label, values):
    source = open_tried(write(label), replace(SPEC, label_values=values))
    assert source.labels().dtype == np.uint8
    assert source.labels().tolist() == LABEL.tolist()


HDF5_ONLY = {
    "fixed-length": np.array([name.encode() for name in NAMES]),
    "filled up with blanks": np.array([f"{name:12}".encode() for name in NAMES]),
    "filled up with zeros": np.array([name.encode() for name in NAMES], "S20"),
    "in a column of one": np.array([name.encode() for name in NAMES])[:, None],
}
PARQUET_ONLY = {
    "large_string": pa.array(NAMES, pa.large_string()),
    "dictionary": pa.array(NAMES).dictionary_encode(),
    "binary": pa.array([name.encode() for name in NAMES], pa.binary()),
    "fixed-size binary": pa.array([name.ljust(7, "\0").encode() for name in NAMES], pa.binary(7)),
    "fixed-size lists": pa.array(np.eye(3)[LABEL].tolist(), pa.list_(pa.float32(), 3)),
    "tensors": pa.ExtensionArray.from_storage(
        pa.fixed_shape_tensor(pa.int8(), [3]), pa.array(np.eye(3, dtype=int)[LABEL].tolist(), pa.list_(pa.int8(), 3))
    ),
}


@pytest.mark.parametrize("label", HDF5_ONLY.values(), ids=HDF5_ONLY)
def test_texts_of_every_kind_in_hdf5_are_classes(tmp_path, label):
    assert open_tried(write_hdf5(tmp_path, label), SPEC).labels().tolist() == LABEL.tolist()


@pytest.mark.parametrize("label", PARQUET_ONLY.values(), ids=PARQUET_ONLY)
def test_texts_and_lists_of_every_kind_in_parquet_are_classes(tmp_path, label):
    assert open_tried(write_parquet(tmp_path, label), SPEC).labels().tolist() == LABEL.tolist()


def test_minus_one_and_one_are_classes_only_if_the_description_says_so(write):
    path = write(np.array([-1, 1, 1, -1, 1, -1, 1], np.int8))
    message = (
        "y[0] = -1; labels must be 0 (minus), 1 (plus); "
        "if [-1, 1] stand for minus, plus, in this order, say label.values = [-1, 1] in the description"
    )
    with pytest.raises(SourceError, match=f"a: {re.escape(message)}$"):
        open_tried(path, TWO).labels()
    source = open_tried(path, replace(TWO, label_values=(-1, 1)))
    assert source.labels().tolist() == [0, 1, 1, 0, 1, 0, 1]


def changed(values, value):
    """Return values of which one, in row 4, is another."""
    values = values.copy()
    values[4] = value
    return values


WRONG = {
    "a number": (changed(LABEL, 3), None, "y[4] = 3; labels must be 0 (qcd), 1 (top), 2 (w boson)"),
    "a fraction": (changed(LABEL / 1, 0.5), None, "y[4] = 0.5; labels must be 0 (qcd), 1 (top), 2 (w boson)"),
    "a name": (changed(NAMES, "charm"), None, "y[4] = 'charm'; labels must be 'qcd', 'top', 'w boson'"),
    "another value": (changed(np.array(PARTICLES), 5), (21, 6, 24), "y[4] = 5; labels must be 21 (qcd), 6 (top), 24"),
    "a name in place of a number": (NAMES, (21, 6, 24), "y[0] = 'qcd'; labels must be 21 (qcd), 6 (top), 24 (w boson)"),
    "a number in place of a name": (LABEL, ("g", "t", "W"), "y[0] = 0; labels must be 'g' (qcd), 't' (top), 'W' (w"),
    "two ones": (changed(np.eye(3)[LABEL], [1, 0, 1]), None,
                 "y[4] = [1, 0, 1]; a row must have one 1 and otherwise 0, in the columns qcd, top, w boson"),
    "no one": (changed(np.eye(3)[LABEL], 0), None, "y[4] = [0, 0, 0]; a row must have one 1 and otherwise 0"),
    "a share": (changed(np.eye(3)[LABEL], [1, 0.5, 0]), None, "y[4] = [1, 0.5, 0]; a row must have one 1 and"),
    "not a number": (changed(np.eye(3)[LABEL], [1, np.nan, 0]), None, "y[4] = [1, nan, 0]; a row must have one 1 and"),
}  # fmt: skip


@pytest.mark.parametrize(("label", "values", "message"), WRONG.values(), ids=WRONG)
def test_a_label_that_stands_for_no_class_is_refused_with_its_row(write, label, values, message):
    path = write(label)
    with pytest.raises(SourceError, match=f"^{re.escape(f'{path}: {message}')}"):
        open_tried(path, replace(SPEC, label_values=values)).labels()


def test_columns_must_be_as_many_as_classes(write):
    path = write(np.eye(4)[LABEL])
    with pytest.raises(
        SourceError,
        match=r"a: .*y.* (shape \(7, 4\), expected \(7,\) or one column per class, \(7, 3\)|length 4, expected 3 num)",
    ):
        open_tried(path, SPEC).labels()
    with pytest.raises(
        SourceError, match=r"a: .*y has (shape|type) .*, expected (\(7,\)|numbers or names of classes)$"
    ):
        open_tried(write(np.eye(3)[LABEL]), replace(SPEC, label_values=(21, 6, 24))).labels()


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (pa.array(changed(NAMES, None)), r"y\[4\] is missing; labels must be 'qcd', 'top', 'w boson'"),
        (pa.array(changed(np.eye(3)[LABEL].tolist(), None)), r"y\[4\] is missing, expected 3 numbers, one per class"),
        (
            pa.array([{"a": 1}] * ROWS),
            r"y has type struct<a: int64>, expected numbers or names of classes, or lists of 3",
        ),
    ],
    ids=["name", "list", "struct"],
)
def test_what_is_no_label_in_parquet_is_refused(tmp_path, label, message):
    with pytest.raises(SourceError, match=f"a: {message}"):
        open_tried(write_parquet(tmp_path, label), SPEC).labels()


def test_what_is_no_label_in_hdf5_is_refused(tmp_path):
    with pytest.raises(SourceError, match=r"a: y has dtype complex64, expected numbers or names of classes"):
        open_tried(write_hdf5(tmp_path, LABEL.astype(np.complex64)), SPEC)


def test_values_of_a_label_are_printed_on_one_line(write):
    path = write(changed(NAMES, "a\x1b[2J\nb"))
    with pytest.raises(SourceError, match=r"y\[4\] = 'a\\x1b\[2J\\nb'; labels must be"):
        open_tried(path, SPEC).labels()


def test_a_class_is_told_for_a_file_without_labels(write):
    path, unlabelled = write(None), replace(SPEC, label_key="")
    for spec in (SPEC, unlabelled):
        source = open_tried(path, spec, told=2)
        assert source.labelled
        assert source.labels().tolist() == [2] * ROWS
    with pytest.raises(
        SourceError, match=r"a: the description of any names no labels .*; --label CLASS=FILES tells it"
    ):
        open_tried(path, unlabelled)
    assert not open_tried(path, unlabelled, require_labels=False).labelled


def test_a_class_that_is_told_must_agree_with_the_labels(write):
    assert open_tried(write(np.ones(ROWS)), SPEC, told=1).labels().tolist() == [1] * ROWS
    message = r"a: y\[2\] is of class w boson, but --label says that the file has only qcd; leave out --label"
    with pytest.raises(SourceError, match=message):
        open_tried(write(changed(np.zeros(ROWS), 0) + (np.arange(ROWS) == 2) * 2), SPEC, told=0).labels()
    assert open_tried(write(LABEL), replace(SPEC, label_key=""), told=0).labels().tolist() == [0] * ROWS


def test_classes_are_told_file_by_file(tmp_path):
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        folder.mkdir()
    paths = [write_parquet(folders[0], None), write_parquet(folders[1], LABEL)]
    told, labelled = open_sources(paths, SPEC, [1, None])
    assert told.labels().tolist() == [1] * ROWS
    assert labelled.labels().tolist() == LABEL.tolist()


def test_many_classes_are_shortened_in_messages():
    spec = replace(SPEC, classes=tuple(f"c{k}" for k in range(255)))
    with pytest.raises(SourceError, match=r"y\[7\] = 255; labels must be 0 \(c0\), .*, 9 \(c9\) and 245 more$"):
        labels.as_classes("a", "y", np.array([254, 255]), spec, start=6)
    assert labels.as_classes("a", "y", np.eye(255)[[254, 3]], spec).tolist() == [254, 3]


def test_a_long_text_that_many_rows_repeat_is_held_once(tmp_path):
    texts = pa.DictionaryArray.from_arrays(pa.array(np.zeros(50_000, np.int32)), pa.array(["a" * (1 << 22)]))
    images = pa.FixedSizeListArray.from_arrays(pa.array(np.ones(200_000, np.float32)), 4)
    pq.write_table(pa.table({"X": images, "y": texts}), tmp_path / "a")  # 200 GB, if each row had a text of its own
    with pytest.raises(SourceError, match=r"y\[0\] = 'a{59}; labels must be 'qcd', 'top', 'w boson'"):
        open_tried(tmp_path / "a", SPEC).labels()
