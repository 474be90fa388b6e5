"""The bundled sample as a store, and source files of the simplest kind."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import zarr

from ingest.chosen_sources import SAMPLES
from tests.examples import Outcome, run_ingest, showers, write_hdf5


@pytest.fixture(scope="session")
def bundled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    """Return a store of the bundled sample, and what the program printed."""
    path = tmp_path_factory.mktemp("bundled") / "sample.zarr"
    outcome = run_ingest("--sample", "--output", path)
    assert outcome.status == 0, outcome.err
    return path, outcome


def write_pair(folder: Path) -> tuple[Path, Path]:
    """Write two source files, of 60 photons and of 80 electrons, and return their paths."""
    options = {"chunks": (7, 32, 32, 2), "compression": "gzip"}
    photons = write_hdf5(folder / "photons.hdf5", showers(60, 1), 0, **options)
    return photons, write_hdf5(folder / "electrons.hdf5", showers(80, 2), 1, **options)


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """Return two source files, of 60 photons and of 80 electrons."""
    return write_pair(tmp_path)


@pytest.fixture(scope="session")
def assert_equals_sources() -> Callable[..., None]:
    """Return a check that every image of a store equals its source row, which reads both without this project."""

    def check(store: Path, *sources: Path) -> None:
        group = zarr.open_group(store, mode="r")
        images, labels = group["image"][:], group["label"][:]
        numbers, rows = group["source_file"][:], group["source_row"][:]
        assert [source["name"] for source in group.attrs["sources"]] == [source.name for source in sources]
        for number, path in enumerate(sources):
            with h5py.File(path, "r") as file:
                expected, classes = file["X"][:].astype("<f4"), file["y"][:].reshape(-1)
            own = numbers == number
            assert np.array_equal(np.sort(rows[own]), np.arange(len(expected))), "every row once"
            assert np.array_equal(images[own].view("<u4"), expected[rows[own]].view("<u4"))
            assert np.array_equal(labels[own], classes[rows[own]])

    return check


@pytest.fixture(scope="session")
def sample_sources() -> tuple[Path, ...]:
    """Return the bundled sample's files."""
    paths = tuple(sorted((SAMPLES / "electron-photon").glob("*.hdf5")))
    assert len(paths) == 2
    return paths
