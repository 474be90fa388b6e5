"""Labels, weights and variables: the same rules for HDF5 and Parquet, for ingest and for scoring."""

from dataclasses import replace

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from store.datasets import ELECTRON_PHOTON, Variable
from store.errors import SourceError
from store.sources import open_source
from tests.examples import showers

IMAGES = showers(5)
SPEC = replace(ELECTRON_PHOTON, variables=(Variable(name="pt", long_name="pt", units="GeV"),))
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
        open_source(path, SPEC)
    source = open_source(path, SPEC, require_labels=False)
    assert not source.labelled
    assert np.array_equal(source.read(0, 5), IMAGES)


def test_labels_that_are_there_are_checked_even_if_they_are_not_required(write):
    source = open_source(write(y=LABELS, pt=PT), SPEC, require_labels=False)
    assert source.labelled
    assert np.array_equal(source.labels(), LABELS)
    with pytest.raises(SourceError, match=r"y has (dtype|type) .*, expected numbers"):
        open_source(write(y=[b"photon"] * 5, pt=PT), SPEC, require_labels=False)
    with pytest.raises(SourceError, match=r"y\[3\] = 2; labels must be 0 \(photon\), 1 \(electron\)"):
        open_source(write(y=[0, 1, 1, 2, 0], pt=PT), SPEC, require_labels=False).labels()


def test_only_the_variables_of_the_specification_are_read_and_rounded(write):
    path = write(y=LABELS, pt=PT, m0=np.full(5, np.nan))
    (values,) = open_source(path, SPEC).variables().values()
    assert np.array_equal(values, PT.astype(np.float32))
    assert open_source(path, ELECTRON_PHOTON).variables() == {}


@pytest.mark.parametrize("dtype", ["f4", "f8", "i8", "u1", "?"])
def test_weights_of_any_number_type_are_float64(write, dtype):
    weights = np.array([0, 1, 1, 0, 1]).astype(dtype)
    source = open_source(write(y=LABELS, pt=PT, weight=weights), SPEC)
    assert source.weighted
    assert source.weights().dtype == np.float64
    assert np.array_equal(source.weights(), weights)
    assert not open_source(write(y=LABELS, pt=PT), SPEC).weighted


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0, 2.0, -0.5, 1.0, 1.0], r"weight\[2\] = -0\.5; weights must be finite and not negative"),
        ([1.0, np.nan, 0.5, 1.0, 1.0], r"weight\[1\] = nan; weights must be finite and not negative"),
        ([1.0, 1.0, 0.5, 1.0, np.inf], r"weight\[4\] = inf; weights must be finite and not negative"),
        ([1.0, 1e-320, 0.5, 1.0, 1.0], r"weight\[1\] = 1e-320; weights must be 0, or 1e-100 to 1e\+100"),
        ([0.0] * 5, r"weight is zero in all 5 rows"),
        ([b"heavy"] * 5, r"weight has (dtype|type) .*, expected numbers"),
    ],
)
def test_wrong_weights_are_refused_with_the_row_and_the_rule(write, weights, message):
    source = open_source(write(y=LABELS, pt=PT, weight=weights), SPEC)
    with pytest.raises(SourceError, match=rf"a\.\w+: {message}"):
        source.weights()
