import re

import h5py
import hdf5plugin
import numpy as np
import pytest
from distributed.protocol.pickle import dumps, loads

from store.datasets import ELECTRON_PHOTON
from store.errors import SourceError
from store.sources.opening import open_sources, open_tried
from store.sources.values import STORED_AS_FLOAT32
from tests.examples import showers, write_hdf5

IMAGES = showers(25)


def open_one(path):
    """Open a file without the trial reading in another process, which takes most of the time of a test."""
    return open_tried(path, ELECTRON_PHOTON)


def read_all(source):
    """Read a source the way ingest does: block after block."""
    return np.concatenate(
        [source.read(at, min(source.rows, at + source.block)) for at in range(0, source.rows, source.block)]
    )


FORMS = {
    "contiguous": {},
    "one image a chunk": {"chunks": (1, 32, 32, 2)},
    "chunks that end with the file": {"chunks": (5, 32, 32, 2)},
    "chunks that do not": {"chunks": (7, 32, 32, 2)},
    "one chunk larger than the file": {"chunks": (40, 32, 32, 2), "maxshape": (None, 32, 32, 2)},
    "chunks that cut images": {"chunks": (7, 16, 32, 1)},
    "gzip": {"chunks": (7, 32, 32, 2), "compression": "gzip"},
    "gzip 9": {"chunks": (7, 32, 32, 2), "compression": "gzip", "compression_opts": 9},
    "gzip of chunks that cut images": {"chunks": (7, 16, 32, 1), "compression": "gzip"},
    "lzf": {"chunks": (7, 32, 32, 2), "compression": "lzf"},
    "shuffle and gzip": {"chunks": (7, 32, 32, 2), "compression": "gzip", "shuffle": True},
    "shuffle alone": {"chunks": (7, 32, 32, 2), "shuffle": True},
    "fletcher32": {"chunks": (7, 32, 32, 2), "fletcher32": True},
    "gzip and fletcher32": {"chunks": (7, 32, 32, 2), "compression": "gzip", "fletcher32": True},
    "blosc": {"chunks": (7, 32, 32, 2), **hdf5plugin.Blosc(cname="lz4")},
    "blosc2": {"chunks": (7, 32, 32, 2), **hdf5plugin.Blosc2()},
    "zstd": {"chunks": (7, 32, 32, 2), **hdf5plugin.Zstd()},
    "bitshuffle": {"chunks": (7, 32, 32, 2), **hdf5plugin.Bitshuffle()},
}  # fmt: skip


@pytest.mark.parametrize("options", FORMS.values(), ids=FORMS)
def test_images_are_read_bit_for_bit_from_any_form_of_data_set(tmp_path, options):
    source = open_one(write_hdf5(tmp_path / "a.hdf5", IMAGES, 1, **options))
    images = read_all(source)
    assert (source.rows, images.dtype, images.flags.c_contiguous) == (25, np.float32, True)
    assert np.array_equal(images.view(np.uint32), IMAGES.view(np.uint32))
    assert source.note == ""


@pytest.mark.parametrize("options", FORMS.values(), ids=FORMS)
def test_a_scan_gives_all_rows_in_parts_of_the_asked_size(tmp_path, options):
    parts = list(open_one(write_hdf5(tmp_path / "a.hdf5", IMAGES, 1, **options)).scan(4))
    assert [len(part) for part in parts] == [4] * 6 + [1]
    assert all(part.dtype == np.float32 and part.flags.c_contiguous for part in parts)
    assert np.array_equal(np.concatenate(parts).view(np.uint32), IMAGES.view(np.uint32))


def test_a_scan_obeys_the_rules_for_values_and_names_the_row(tmp_path):
    images = IMAGES.astype(np.float64)
    images[20, 0, 31, 0] = 0.1
    source = open_one(write_hdf5(tmp_path / "a.hdf5", images, 1))
    with pytest.raises(SourceError, match=re.escape("a.hdf5: X[20, 0, 31, 0] = 0.1 is not exact in float32")):
        list(source.scan(4))


def test_a_compact_data_set_is_read(tmp_path):
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_layout(h5py.h5d.COMPACT)
        space = h5py.h5s.create_simple((7, 32, 32, 2))
        h5py.h5d.create(file.id, b"X", h5py.h5t.IEEE_F32LE, space, properties)
        file["X"][:] = IMAGES[:7]
        file["y"] = np.ones(7)
    assert np.array_equal(read_all(open_one(tmp_path / "a.hdf5")), IMAGES[:7])


@pytest.mark.parametrize(("start", "stop"), [(0, 3), (3, 25), (6, 8), (24, 25), (7, 14), (0, 25), (14, 22)])
@pytest.mark.parametrize("form", ["contiguous", "gzip", "lzf", "shuffle and gzip", "chunks that cut images"])
def test_any_range_of_rows_can_be_read(tmp_path, form, start, stop):
    source = open_one(write_hdf5(tmp_path / "a.hdf5", IMAGES, 1, **FORMS[form]))
    assert np.array_equal(source.read(start, stop), IMAGES[start:stop])


@pytest.mark.parametrize("form", ["gzip", "shuffle and gzip", "lzf", "chunks that do not"])
def test_chunks_that_were_never_written_are_refused_with_their_rows(tmp_path, form):
    path = tmp_path / "a.hdf5"
    with h5py.File(path, "w") as file:
        images = file.create_dataset("X", (25, 32, 32, 2), np.float32, fillvalue=0.25, **FORMS[form])
        images[:7] = IMAGES[:7]
        images[14:21] = IMAGES[14:21]
        file["y"] = np.zeros(25)
    with pytest.raises(SourceError, match=r"a\.hdf5: X: rows 7 to 13 were never written; the file has 2 of 4 chunks"):
        open_one(path)


@pytest.mark.parametrize("form", ["gzip", "shuffle and gzip"])
def test_chunks_that_were_stored_without_their_filter_are_read(tmp_path, form):
    path = tmp_path / "a.hdf5"
    with h5py.File(path, "w") as file:
        images = file.create_dataset("X", (14, 32, 32, 2), np.float32, **FORMS[form])
        images[:7] = IMAGES[:7]
        images.id.write_direct_chunk((7, 0, 0, 0), IMAGES[7:14].tobytes(), filter_mask=3)
        file["y"] = np.zeros(14)
    assert np.array_equal(read_all(open_one(path)), IMAGES[:14])


@pytest.mark.parametrize("form", ["contiguous", "gzip", "lzf", "shuffle and gzip"])
@pytest.mark.parametrize("dtype", [">f4", "<f8", ">f8", "<f2"])
def test_other_float_types_are_converted_exactly_and_it_is_said(tmp_path, dtype, form):
    images = IMAGES.astype(np.float16).astype(dtype) if dtype == "<f2" else IMAGES.astype(dtype)
    source = open_one(write_hdf5(tmp_path / "a.hdf5", images, 1, **FORMS[form]))
    got = read_all(source)
    assert got.dtype == np.float32
    assert got.dtype.isnative
    assert np.array_equal(got, images.astype(np.float32))
    assert source.note.endswith(f"a.hdf5: X is {np.dtype(dtype)}; {STORED_AS_FLOAT32}")


@pytest.mark.parametrize("form", ["contiguous", "gzip", "lzf", "chunks that cut images"])
@pytest.mark.parametrize(("value", "dtype"), [(np.nan, "f4"), (np.inf, "f4"), (-np.inf, ">f4"), (np.nan, "f8")])
def test_a_value_that_is_not_finite_is_refused_with_its_place(tmp_path, value, dtype, form):
    images = IMAGES.astype(dtype)
    images[17, 2, 3, 1] = value
    source = open_one(write_hdf5(tmp_path / "a.hdf5", images, 1, **FORMS[form]))
    with pytest.raises(SourceError, match=re.escape(f"a.hdf5: X[17, 2, 3, 1] = {value} is not finite")):
        read_all(source)


@pytest.mark.parametrize("value", [0.1, 1 + 2.0**-30, 1e-50])
def test_a_float64_that_float32_cannot_hold_is_refused_with_its_place(tmp_path, value):
    images = IMAGES.astype(np.float64)
    images[20, 0, 31, 0] = value
    source = open_one(write_hdf5(tmp_path / "a.hdf5", images, 1))
    with pytest.raises(SourceError, match=re.escape(f"a.hdf5: X[20, 0, 31, 0] = {value} is not exact in float32")):
        read_all(source)


def test_a_float64_beyond_the_range_of_float32_is_refused(tmp_path):
    images = IMAGES.astype(np.float64)
    images[0, 0, 0, 0] = 1e300
    with pytest.raises(SourceError, match=re.escape("a.hdf5: X[0, 0, 0, 0] = 1e+300 is not")):
        read_all(open_one(write_hdf5(tmp_path / "a.hdf5", images, 1)))


@pytest.mark.parametrize("dtype", ["f4", "f8", ">f4", "f2", "i1", "i8", "u1", ">i4", "?"])
@pytest.mark.parametrize("shape", [(-1,), (-1, 1)])
def test_labels_of_any_number_type_are_classes(tmp_path, dtype, shape):
    label = np.arange(25) % 2
    source = open_one(write_hdf5(tmp_path / "a.hdf5", IMAGES, label.astype(dtype).reshape(shape)))
    assert source.labels().tolist() == label.tolist()
    assert source.labels().dtype == np.uint8


@pytest.mark.parametrize("value", [2, -1, 0.5, np.nan, np.inf])
def test_a_label_that_is_no_class_is_refused_with_its_row_and_the_classes(tmp_path, value):
    label = np.zeros(25)
    label[11] = value
    source = open_one(write_hdf5(tmp_path / "a.hdf5", IMAGES, label))
    with pytest.raises(
        SourceError, match=rf"a\.hdf5: .*11.*{float(value)}; labels must be 0 \(photon\), 1 \(electron\)"
    ):
        source.labels()


@pytest.mark.parametrize(
    ("name", "attribute", "simulated"),
    [
        ("SinglePhotonPt50_GEANT4_n5500.hdf5", None, "Geant4 simulation"),
        ("a.hdf5", "Geant4 simulation", "Geant4 simulation"),
        ("geant4.hdf5", "Another simulation", "Another simulation"),
        ("SinglePhotonPt50_IMGCROPS_n249k_RHv1.hdf5", None, ""),
    ],
)
def test_a_simulation_is_called_one(tmp_path, name, attribute, simulated):
    path = write_hdf5(tmp_path / name, IMAGES, 1)
    if attribute:
        with h5py.File(path, "a") as file:
            file.attrs["simulation"] = attribute
    assert open_one(path).simulated == simulated


def test_other_data_sets_in_the_file_do_not_matter(tmp_path):
    path = write_hdf5(tmp_path / "a.hdf5", IMAGES, 1)
    with h5py.File(path, "a") as file:
        file["eta"] = np.zeros(3)
        file.create_group("more")["X"] = np.zeros(5)
    assert np.array_equal(read_all(open_one(path)), IMAGES)


def test_a_source_can_be_sent_to_another_process(tmp_path):
    source = open_one(write_hdf5(tmp_path / "a.hdf5", IMAGES, 1, **FORMS["gzip"]))
    assert np.array_equal(read_all(loads(dumps(source))), IMAGES)


def test_a_chunk_that_does_not_decompress_is_named_with_its_rows(tmp_path):
    path = write_hdf5(tmp_path / "a.hdf5", IMAGES, 1, **FORMS["gzip"])
    with h5py.File(path) as file:
        chunk = file["X"].id.get_chunk_info_by_coord((7, 0, 0, 0))
    data = bytearray(path.read_bytes())
    data[chunk.byte_offset + 100 : chunk.byte_offset + 140] = bytes(40)
    path.write_bytes(data)
    source = open_one(path)
    assert np.array_equal(source.read(0, 7), IMAGES[:7])
    with pytest.raises(OSError, match=re.escape(f"{path}: rows 7 to 13 cannot be read")):
        source.read(7, 14)


def test_a_checksum_that_does_not_fit_is_named_with_its_rows(tmp_path):
    path = write_hdf5(tmp_path / "a.hdf5", IMAGES, 1, **FORMS["fletcher32"])
    with h5py.File(path) as file:
        chunk = file["X"].id.get_chunk_info_by_coord((7, 0, 0, 0))
    data = bytearray(path.read_bytes())
    data[chunk.byte_offset + 100] ^= 1
    path.write_bytes(data)
    with pytest.raises(OSError, match=re.escape(f"{path}: rows 7 to 13 cannot be read")):
        open_one(path).read(7, 14)


def test_no_sources_or_one_twice_are_refused(tmp_path):
    with pytest.raises(SourceError, match="no source files given"):
        open_sources([], ELECTRON_PHOTON)
    with pytest.raises(SourceError, match=r"a\.hdf5: is given twice"):
        open_sources([tmp_path / "a.hdf5", tmp_path / "b.hdf5", tmp_path / "a.hdf5"], ELECTRON_PHOTON)
