"""Images in every form that a file may have: the same rules for HDF5 and Parquet."""

import re
from dataclasses import replace

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from store.datasets import Channel, DatasetSpec
from store.errors import SourceError
from store.sources.opening import open_tried
from store.sources.values import ROUNDED_TO_FLOAT32, STORED_AS_FLOAT32

ROWS, SHAPE = 11, (4, 5, 3)
WHOLE = np.random.default_rng(0).integers(0, 2, (ROWS, *SHAPE))  # of any type
HALVES = (WHOLE / 2).astype(np.float32)  # of any floating-point type


def describe(channels=3, layout=None):
    return DatasetSpec(
        name="any", title="Any", image_keys=("X",), label_key="y", image_shape=(*SHAPE[:2], channels), layout=layout,
        channels=tuple(Channel(name=f"c{k}", long_name="made up") for k in range(channels)),
        classes=("a", "b"), seed=(2, 2),
    )  # fmt: skip


def first(images):
    return np.ascontiguousarray(np.moveaxis(images, -1, 1))


def flat(images):
    return images.reshape(len(images), -1)


def tensors(images, permutation=None):
    storage = pa.FixedSizeListArray.from_arrays(pa.array(images.ravel()), int(np.prod(images.shape[1:])))
    type_ = pa.fixed_shape_tensor(storage.type.value_type, images.shape[1:], permutation=permutation)
    return pa.ExtensionArray.from_storage(type_, storage)


def lists(images, fixed=False):
    type_ = pa.from_numpy_dtype(images.dtype)
    for size in reversed(images.shape[1:]):
        type_ = pa.list_(type_, size if fixed else -1)
    return pa.array(images.tolist(), type_)


def write_hdf5(folder, images, **options):
    with h5py.File(folder / "a", "w") as file:
        file.create_dataset("X", data=images, chunks=(4, *images.shape[1:]), **options)
        file["y"] = np.arange(len(images)) % 2
    return folder / "a"


def write_parquet(folder, column):
    pq.write_table(pa.table({"X": column, "y": np.arange(len(column)) % 2}), folder / "a", row_group_size=4)
    return folder / "a"


def write(folder, values):
    return (write_hdf5 if isinstance(values, np.ndarray) else write_parquet)(folder, values)


def assert_read(path, spec, expected):
    source = open_tried(path, spec)
    for images, wanted in ((source.read(0, ROWS), expected), (source.read(3, 10), expected[3:10])):
        assert (images.dtype, images.flags.c_contiguous) == (np.float32, True)
        assert np.array_equal(images, wanted)
    assert all(np.array_equal(a, b) for a, b in zip(source.scan(8), (expected[:8], expected[8:]), strict=True))
    assert source.note == "" or source.note.endswith(f"; {STORED_AS_FLOAT32}")


ONE = HALVES[..., :1]
FORMS = {
    "HDF5, flat": (flat(HALVES), {}),
    "HDF5, flat, channel-first": (flat(first(HALVES)), {"layout": "channel-first"}),
    "HDF5, no channel axis": (ONE[..., 0], {"channels": 1}),
    "HDF5, one channel in front": (first(ONE), {"channels": 1}),
    "HDF5, one channel behind, said to be in front": (ONE, {"channels": 1, "layout": "channel-first"}),
    "tensors": (tensors(HALVES), {}),
    "tensors, channel-first": (tensors(first(HALVES)), {"layout": "channel-first"}),
    "tensors, channel-first with a permutation": (tensors(first(HALVES), (1, 2, 0)), {}),
    "tensors, flat": (tensors(flat(HALVES)), {}),
    "tensors, no channel axis": (tensors(ONE[..., 0]), {"channels": 1}),
    "lists": (lists(first(HALVES)), {}),
    "lists of fixed size": (lists(first(HALVES), fixed=True), {}),
    "lists of fixed size, channel-last": (lists(HALVES, fixed=True), {"layout": "channel-last"}),
    "lists, flat": (lists(flat(HALVES)), {}),
    "lists, flat, of fixed size": (lists(flat(HALVES), fixed=True), {}),
    "lists, flat, channel-first": (lists(flat(first(HALVES))), {"layout": "channel-first"}),
    "lists, no channel axis": (lists(ONE[..., 0]), {"channels": 1}),
    "lists, one channel in front": (lists(first(ONE)), {"channels": 1}),
    "lists, one channel behind": (lists(ONE), {"channels": 1}),
}


@pytest.mark.parametrize(("values", "options"), FORMS.values(), ids=FORMS)
def test_images_of_every_form_are_the_same(tmp_path, values, options):
    assert_read(write(tmp_path, values), describe(**options), ONE if "channels" in options else HALVES)


TYPES = ("?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8")


@pytest.mark.parametrize("dtype", [*TYPES, ">i4", ">f8"])
@pytest.mark.parametrize("options", [{}, {"compression": "gzip", "shuffle": True}], ids=["plain", "shuffle and gzip"])
def test_numbers_of_every_type_are_read_from_hdf5(tmp_path, dtype, options):
    images = (HALVES if "f" in dtype else WHOLE).astype(dtype)
    assert_read(write_hdf5(tmp_path, images, **options), describe(), images.astype(np.float32))


@pytest.mark.parametrize("dtype", TYPES)
def test_numbers_of_every_type_are_read_from_parquet(tmp_path, dtype):
    images = (HALVES if "f" in dtype else WHOLE).astype(dtype)
    if dtype != "?":  # pyarrow has no tensors of bool
        assert_read(write_parquet(tmp_path, tensors(images)), describe(), images.astype(np.float32))
    assert_read(write_parquet(tmp_path, lists(first(images))), describe(), images.astype(np.float32))


EXACT = {"i4": (2**24, -(2**31), 2**24 + 2), "u4": (2**31, 3 * 2**25), "i8": (-(2**63), 2**62), "u8": (2**63,)}
INEXACT = {"i4": (2**24 + 1, 2**31 - 1), "u4": (2**32 - 1,), "i8": (2**60 + 1, 2**63 - 1), "u8": (2**64 - 1,)}


@pytest.mark.parametrize(("dtype", "value"), [(dtype, value) for dtype in EXACT for value in EXACT[dtype]])
def test_large_integers_that_float32_has_are_read(tmp_path, dtype, value):
    images = WHOLE.astype(dtype)
    images[5, 1, 2, 0] = value
    assert open_tried(write(tmp_path, images), describe()).read(0, ROWS)[5, 1, 2, 0] == float(value)


@pytest.mark.parametrize(("dtype", "value"), [(dtype, value) for dtype in INEXACT for value in INEXACT[dtype]])
@pytest.mark.parametrize("form", [np.asarray, tensors], ids=["HDF5", "Parquet"])
def test_integers_that_float32_does_not_have_are_refused_with_their_place(tmp_path, form, dtype, value):
    images = WHOLE.astype(dtype)
    images[5, 1, 2, 0] = value
    source = open_tried(write(tmp_path, form(images)), describe())
    with pytest.raises(SourceError, match=re.escape(f"a: X[5, 1, 2, 0] = {value} is not exact in float32")):
        source.read(4, ROWS)


@pytest.mark.parametrize(("dtype", "value"), [("f8", 0.1), ("i4", 2**24 + 1), ("u8", 2**64 - 1)])
@pytest.mark.parametrize("form", [np.asarray, tensors], ids=["HDF5", "Parquet"])
def test_values_are_rounded_to_the_nearest_if_the_description_says_so(tmp_path, form, dtype, value):
    images = WHOLE.astype(dtype)
    images[5, 1, 2, 0] = value
    source = open_tried(write(tmp_path, form(images)), replace(describe(), rounded=True))
    assert source.note.endswith(f"; {ROUNDED_TO_FLOAT32}")
    np.testing.assert_array_equal(source.read(0, ROWS), images.astype(np.float32))


def test_values_too_large_for_float32_are_refused_rather_than_rounded(tmp_path):
    images = WHOLE.astype(np.float64)
    images[5, 1, 2, 0] = 1e39
    source = open_tried(write(tmp_path, images), replace(describe(), rounded=True))
    with pytest.raises(SourceError, match=re.escape("a: X[5, 1, 2, 0] = 1e+39 is not finite")):
        source.read(4, ROWS)


LONGER = np.ones((ROWS, 4, 6, 3), np.float32)
WRONG = {
    "HDF5": (LONGER, "X has shape (11, 4, 6, 3), expected rows of (4, 5, 3) or (60,)"),
    "tensors": (tensors(LONGER), "X has shape (11, 4, 6, 3), expected rows of (4, 5, 3) or (60,)"),
    "fixed lists": (lists(LONGER, fixed=True), "X has shape (11, 4, 6, 3), expected rows of (3, 4, 5) or (60,)"),
    "HDF5, flat": (flat(LONGER), "X has shape (11, 72), expected rows of (4, 5, 3) or (60,)"),
    "flat lists": (lists(flat(LONGER), fixed=True), "X has shape (11, 72), expected rows of (4, 5, 3) or (60,)"),
    "HDF5, the other order": (first(HALVES), 'X has shape (11, 3, 4, 5), expected rows of (4, 5, 3) or (60,); '
                              'image.layout = "channel-first" fits'),
    "tensors, the other order": (tensors(first(HALVES)), "X has shape (11, 3, 4, 5), expected rows of (4, 5, 3) or "
                                 '(60,); image.layout = "channel-first" fits'),
}  # fmt: skip


@pytest.mark.parametrize(("values", "message"), WRONG.values(), ids=WRONG)
def test_images_of_another_shape_are_refused_with_both(tmp_path, values, message):
    path = write(tmp_path, values)
    with pytest.raises(SourceError, match=f"^{re.escape(f'{path}: {message}')}$"):
        open_tried(path, describe())


@pytest.mark.parametrize("place", [(5,), (5, 1, 2, 0)], ids=str)
def test_a_missing_image_or_integer_is_refused_with_its_place(tmp_path, place):
    images = WHOLE.tolist()
    inner = images
    for index in place[:-1]:
        inner = inner[index]
    inner[place[-1]] = None
    source = open_tried(write_parquet(tmp_path, pa.array(images)), describe(layout="channel-last"))
    with pytest.raises(SourceError, match=re.escape(f"a: X[{', '.join(map(str, place))}] is missing")):
        source.read(0, ROWS)


def test_text_is_no_image(tmp_path):
    with h5py.File(tmp_path / "a", "w") as file:
        file["X"], file["y"] = np.full((ROWS, *SHAPE), b"1"), np.zeros(ROWS)
    with pytest.raises(SourceError, match=r"a: X has dtype \|S1, expected numbers"):
        open_tried(tmp_path / "a", describe())


MEASURED = {"f4": 12, "u1": 10, "f2": 13, "i4": 21, "f8": 22, "i8": 29}  # bytes per value, when large chunks are read


@pytest.mark.parametrize(("dtype", "needed"), MEASURED.items())
def test_the_memory_of_reading_follows_from_the_type(tmp_path, dtype, needed):
    source = open_tried(write_hdf5(tmp_path, WHOLE.astype(dtype)), describe())
    assert source.reading_bytes >= needed * source.block * source.spec.sample_bytes // 4
