"""HDF5 files of showers, made from the bundled sample."""

from collections.abc import Sequence
from pathlib import Path

import h5py

SAMPLE = Path(__file__).parents[2] / "ingest" / "sample" / "electron-photon"
ROWS, CHUNK = 1500, 100


def write_sources(folder: Path, first: int = 0) -> Sequence[Path]:
    """Write a file per class with `ROWS` showers of the sample, from number `first`, in chunks of `CHUNK`."""
    paths = []
    for sample in sorted(SAMPLE.glob("*.hdf5")):
        path = folder / f"{sample.name[:12]}.hdf5"
        with h5py.File(sample) as whole, h5py.File(path, "w") as part:
            images = whole["X"][first : first + ROWS]
            chunks = (CHUNK, *images.shape[1:])
            part.create_dataset("X", data=images, chunks=chunks, compression="gzip", compression_opts=1)
            part.attrs["simulation"] = whole.attrs["simulation"]
            part["y"] = whole["y"][first : first + ROWS]
        paths.append(path)
    return paths
