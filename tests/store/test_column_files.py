import re

import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from store import column_files
from store.column_files import column_encoding, map_column, write_column
from store.errors import CorruptStoreError
from store.opening import Store, open_store
from tests.examples import write_store


def write(root, values):
    """Write a column as a store does, and return its array."""
    encoding = {"x": column_encoding(values)}
    dataset = xr.Dataset({"x": ("sample", values)}).chunk()
    dataset.to_zarr(root, mode="w", zarr_format=3, consolidated=False, encoding=encoding, compute=False)
    array = zarr.open_array(root, path="x", mode="r")
    write_column(array, root, values)
    return array


@settings(max_examples=25)
@given(
    values=arrays.arrays(
        st.sampled_from(["uint8", "uint16", "uint32", "int64", "float32"]), st.integers(1, 40), fill=st.just(0)
    ),
    chunk=st.integers(1, 20),
)
def test_the_file_is_the_values_and_zarr_reads_the_same(tmp_path_factory, values, chunk):
    root = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(column_files, "COLUMN_CHUNK", chunk)
        array = write(root, values)
    mapped = map_column(array, root)
    assert mapped.dtype == values.dtype
    assert mapped.tobytes() == values.tobytes()
    assert (root / "x" / "c" / "0").read_bytes()[: values.nbytes] == values.tobytes()
    assert np.asarray(array[:]).tobytes() == values.tobytes()
    assert np.asarray(array[values.size // 3 : -1]).tobytes() == values[values.size // 3 : -1].tobytes()
    assert xr.open_zarr(root, consolidated=False).x.values.tobytes() == values.tobytes()


def test_a_column_cannot_be_changed_and_outlives_its_file(tmp_path):
    mapped = map_column(write(tmp_path, np.arange(100)), tmp_path)
    with pytest.raises(ValueError, match="read-only"):
        mapped[0] = 1
    (tmp_path / "x" / "c" / "0").unlink()
    assert np.array_equal(mapped, np.arange(100))


@pytest.mark.parametrize(
    "options",
    [{"chunks": (30,)}, {"chunks": (10,), "shards": (30,)}, {"chunks": (10,), "shards": (100,)}],
    ids=["compressed", "several shards", "compressed in one shard"],
)
def test_what_is_stored_otherwise_is_not_mapped_but_read(tmp_path, options):
    compressors = None if options.get("shards") == (30,) else "auto"
    array = zarr.create_array(tmp_path, name="x", data=np.arange(100), compressors=compressors, **options)
    assert map_column(array, tmp_path) is None
    store = Store(path=tmp_path, group=zarr.open_group(tmp_path, mode="r"), folder=tmp_path)
    assert np.array_equal(store.column("x", 5, 95), np.arange(5, 95))


def damage_index(data):
    return data[:-8] + bytes([data[-8] ^ 1]) + data[-7:]


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda data: b"", "the shard is empty"),
        (lambda data: data[:-1], "the shard's index does not match its checksum"),
        (damage_index, "the shard's index does not match its checksum"),
        (lambda data: data[100:], "the shard's index points outside the shard"),
    ],
    ids=["empty", "cut", "index", "beginning lost"],
)
def test_a_damaged_file_is_named(tmp_path, damage, reason):
    array = write(tmp_path, np.arange(100))
    path = tmp_path / "x" / "c" / "0"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(CorruptStoreError, match=re.escape(f"{path}: {reason}")):
        map_column(array, tmp_path)


def test_the_columns_of_a_store_are_mapped(tmp_path):
    store = open_store(write_store(tmp_path / "store.zarr"))
    for name in ("label", "split", "source_file", "source_row"):
        mapped = map_column(store.array(name), store.folder)
        assert np.array_equal(store.column(name, 3, 77), mapped[3:77])
        assert not store.column(name).flags.writeable
        assert np.array_equal(mapped, np.asarray(store.array(name)[:]))
