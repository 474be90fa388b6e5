"""A small store of jets for the training tests, made from the twenty jets that the ingest tests use."""

from pathlib import Path

from tests.examples import run_ingest

SOURCES = Path(__file__).parent / "ingest" / "jets"
HDF5, PARQUET = SOURCES / "quark-gluon_pythia_n20.hdf5", SOURCES / "quark-gluon_pythia_n20.snappy.parquet"


def write_jet_store(folder: Path) -> Path:
    """Write a store of twenty jets, split 12 / 4 / 4, and return its path."""
    store = folder / "jets.zarr"
    outcome = run_ingest(HDF5, "--dataset", "quark-gluon", "--split", "0.6,0.2,0.2", "--output", store)
    assert outcome.status == 0, outcome.err
    return store
