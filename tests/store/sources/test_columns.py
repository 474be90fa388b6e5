"""Labels, weights and variables: the same rules for HDF5 and Parquet, for ingest and for scoring."""

from dataclasses import replace

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from store.datasets import ELECTRON_PHOTON, Variable
from store.errors import SourceError
from store.sources.opening import open_tried
from tests.examples import showers

IMAGES = showers(5)
SPEC = replace(ELECTRON_PHOTON, variables=(Variable(name="pt", long_name="pt", units="GeV"),))
WEIGHTED = replace(SPEC, weight_key="w")
LABELS, PT = np.array([0, 1, 1, 0, 1]), np.linspace(1, 2, 5)


@pytest.fixture(params=["hdf5", "parquet"])
def write(request, tmp_path):
    """Return a function that writes `IMAGES` and some columns to a file."""

    def write_file(**columns):
        path = tmp_path / f"a.{request.param}"
        if request.param == "hdf5":
            with h5py.File(path, "w") as file:
                file["X"] = IMAGES
                for name, values in columns.items():
                    file[name] = values
        else:
            images = pa.array([image.tobytes() for image in IMAGES], pa.binary(8192))
            pq.write_table(pa.table({"X": images, **columns}), path)
        return path

    return write_file


def test_labels_are_required_unless_they_are_not_asked_for(write):
    path = write(pt=PT)
    with pytest.raises(SourceError, match=r"a\.\w+: no (dataset|column) 'y'; the file has "):
        open_tried(path, SPEC)
    source = open_tried(path, SPEC, require_labels=False)
    assert not source.labelled
    assert np.array_equal(source.read(0, 5), IMAGES)


def test_labels_that_are_there_are_checked_even_if_they_are_not_required(write):
    source = open_tried(write(y=LABELS, pt=PT), SPEC, require_labels=False)
    assert source.labelled
    assert np.array_equal(source.labels(), LABELS)
    with pytest.raises(SourceError, match=r"y\[3\] = 2; labels must be 0 \(photon\), 1 \(electron\)"):
        open_tried(write(y=[0, 1, 1, 2, 0], pt=PT), SPEC, require_labels=False).labels()


def test_only_the_variables_of_the_specification_are_read_and_rounded(write):
    path = write(y=LABELS, pt=PT, m0=np.full(5, np.nan))
    (values,) = open_tried(path, SPEC).variables().values()
    assert np.array_equal(values, PT.astype(np.float32))
    assert open_tried(path, ELECTRON_PHOTON).variables() == {}


@pytest.mark.parametrize("dtype", ["f4", "f8", "i8", "u1", "?"])
def test_weights_of_any_number_type_are_float32(write, dtype):
    weights = np.array([0, 1, 1, 0, 1]).astype(dtype)
    source = open_tried(write(y=LABELS, pt=PT, w=weights), WEIGHTED)
    assert source.weights().dtype == np.float32
    assert np.array_equal(source.weights(), weights)
    assert open_tried(source.path, SPEC).weights() is None
    assert source.has("w")
    assert not source.has("weight")


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0, 2.0, -0.5, 1.0, 1.0], r"w\[2\] = -0\.5; weights must be finite and not negative"),
        ([1.0, np.nan, 0.5, 1.0, 1.0], r"w\[1\] = nan; weights must be finite and not negative"),
        ([1.0, 1.0, 0.5, 1.0, np.inf], r"w\[4\] = inf; weights must be finite and not negative"),
        ([1.0, 1e-40, 0.5, 1.0, 1.0], r"w\[1\] = 1e-40; weights must be 0, or 1.2e-38 to 3.4e\+38"),
        ([1.0, 1.0, 1e39, 1.0, 1.0], r"w\[2\] = 1e\+39; weights must be 0, or 1.2e-38 to 3.4e\+38"),
        ([b"heavy"] * 5, r"w has (dtype|type) .*, expected numbers"),
        (None, r"no (dataset|column) 'w'; the file has "),
    ],
)
def test_wrong_weights_are_refused_with_the_row_and_the_rule(write, weights, message):
    path = write(y=LABELS, pt=PT, **({} if weights is None else {"w": weights}))
    with pytest.raises(SourceError, match=rf"a\.\w+: {message}"):
        open_tried(path, WEIGHTED).weights()


def test_a_file_to_score_needs_no_weights(write):
    source = open_tried(write(pt=PT), WEIGHTED, require_labels=False)
    assert not source.has("w")


@pytest.mark.parametrize("dtype", ["i1", "u4", "i8", "u8", "?"])
def test_integers_stay_exact(write, dtype):
    values = np.array([0, 1, 1, 0, 1]).astype(dtype)
    if dtype[1:] == "8":
        values[3:] = 2**53 + 1, 2**63 - 1
    variable = open_tried(write(y=LABELS, pt=values), SPEC).variables()["pt"]
    assert variable.dtype == np.int64
    assert np.array_equal(variable, values)


def test_an_integer_outside_int64_is_refused_with_its_row(write):
    values = np.array([1, 2, 2**63, 3, 4], np.uint64)
    message = r"pt\[2\] = 9223372036854775808; integers must be at most 9223372036854775807"
    with pytest.raises(SourceError, match=message):
        open_tried(write(y=LABELS, pt=values), SPEC).variables()
