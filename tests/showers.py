"""A small store of showers for the training tests, made from a part of the bundled Geant4 sample."""

from pathlib import Path

import h5py

from tests.examples import run_ingest

ROOT = Path(__file__).parents[1]


def write_shower_store(folder: Path, showers: int) -> Path:
    """Run ``ingest`` on the first `showers` showers of each class, split 60 / 20 / 20, and return the store's path."""
    sources = sorted((ROOT / "ingest" / "sample" / "electron-photon").glob("*.hdf5"))
    for source in sources:
        with h5py.File(source) as whole, h5py.File(folder / source.name, "w") as part:
            for name in ("X", "y"):
                part[name] = whole[name][:showers]
    store = folder / "showers.zarr"
    files = [folder / source.name for source in sources]
    done = run_ingest(*files, "--output", store, "--split", "0.6,0.2,0.2")
    assert done.status == 0, done.err
    return store
