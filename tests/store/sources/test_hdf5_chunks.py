"""Chunks that are decompressed without HDF5's help have the values that h5py reads."""

import zlib

import deflate
import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.compiled.source_values import unshuffle
from store.sources import inflate as inflating
from store.sources.hdf5_chunks import open_chunk
from store.sources.inflate import inflate

DTYPES = ("<f4", ">f4", "<f8", "<f2", "u1", "<i2", ">i8")


def in_memory():
    return h5py.File("in memory", "w", driver="core", backing_store=False)


@pytest.mark.parametrize("library", ["libdeflate", "public functions"])
@given(st.data())
def test_rows_of_a_chunk_are_those_that_h5py_reads(library, data):
    random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    rows = data.draw(st.integers(1, 30))
    chunk = data.draw(st.integers(1, rows))
    values = random.integers(0, 256, (rows, 3, 5, 2), np.uint8).astype(data.draw(st.sampled_from(DTYPES)))
    with pytest.MonkeyPatch.context() as patch, in_memory() as file:
        if library == "public functions":
            patch.setattr(inflating, "LIBRARY", None)
        shuffled = data.draw(st.booleans())
        dataset = file.create_dataset("X", data=values, chunks=(chunk, 3, 5, 2), compression="gzip", shuffle=shuffled)
        for start in range(0, rows, chunk):
            stop = min(rows, start + chunk)
            first = data.draw(st.integers(0, stop - start))
            last = data.draw(st.integers(first, stop - start))
            with open_chunk(dataset, start, stop) as rows_of_chunk:
                part, whole = rows_of_chunk[first:last], rows_of_chunk[: stop - start]
            assert part.dtype == values.dtype
            assert np.array_equal(part, values[start + first : start + last])
            assert np.array_equal(whole, values[start:stop])


@pytest.mark.parametrize("how", [{}, {"compression": "lzf"}, {"compression": "gzip", "fletcher32": True}])
def test_other_filters_are_left_to_h5py(how):
    with in_memory() as file:
        dataset = file.create_dataset("X", data=np.ones((4, 2)), chunks=(2, 2), **how)
        with open_chunk(dataset, 0, 2) as chunk:
            assert chunk is None


@pytest.mark.parametrize("library", [inflating.LIBRARY, None], ids=["libdeflate", "public functions"])
@pytest.mark.parametrize("damage", [lambda packed: packed[:-9], lambda packed: packed[:9] + b"x" + packed[10:]])
@pytest.mark.parametrize("size", [999, 1000, 1001])
def test_damaged_data_are_refused(monkeypatch, library, damage, size):
    monkeypatch.setattr(inflating, "LIBRARY", library)
    content = np.random.default_rng(0).integers(0, 9, 1000, np.uint8)
    packed = zlib.compress(content.tobytes())
    out = np.empty(size, np.uint8)
    if size == content.size:
        inflate(packed, out)
        assert np.array_equal(out, content)
        packed = damage(packed)
    with pytest.raises((ValueError, deflate.DeflateError)):
        inflate(packed, out)


@given(st.integers(1, 300), st.data())
def test_unshuffling_joins_the_bytes_of_each_value(count, data):
    random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    values = random.integers(0, 2**32, count, np.uint32)
    planes = np.ascontiguousarray(values.view(np.uint8).reshape(count, 4).T).reshape(-1)
    first = data.draw(st.integers(0, count))
    out = np.empty(data.draw(st.integers(0, count - first)), np.uint32)
    unshuffle(planes, first, out)
    assert np.array_equal(out, values[first : first + out.size])
