import subprocess
import sys
import zlib
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zarr

from tests.examples import showers

CHUNK = 3_000  # images: 24.6 MB, as in the larger files of the field
MEMORY = 256 << 20
PROGRAM = 300 << 20  # memory that Python and its libraries may take in addition
needs_linux = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="needs Linux, to read the peak memory of a process"
)
MEASURE = """
import pathlib, re, sys
from ingest.cli import app
from store import console
try:
    console.run(app, "convert", sys.argv[1:])
except SystemExit as end:
    kilobytes = re.search(r"VmHWM:\\s*(\\d+) kB", pathlib.Path("/proc/self/status").read_text())[1]
    print(end.code, 1024 * int(kilobytes), file=sys.stderr)
"""


def write_long(path, label, chunks):
    """Write a file of many images quickly: one compressed chunk, again and again."""
    images = np.tile(showers(500, label), (CHUNK // 500, 1, 1, 1))
    packed = zlib.compress(images.tobytes(), 1)
    with h5py.File(path, "w") as file:
        shape = (CHUNK * chunks, *images.shape[1:])
        dataset = file.create_dataset("X", shape, "<f4", chunks=images.shape, compression="gzip")
        for chunk in range(chunks):
            dataset.id.write_direct_chunk((chunk * CHUNK, 0, 0, 0), packed)
        file["y"] = np.full(CHUNK * chunks, label, np.float32)


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    """Return two files of 60,000 images each, 983 MB together when decompressed."""
    folder = tmp_path_factory.mktemp("long")
    for label in (0, 1):
        write_long(folder / f"{label}.hdf5", label, 20)
    return folder


def peak_of(*words):
    """Run the program ``ingest`` in a process of its own and return its peak memory, in bytes.

    The maximum of getrusage would include what the parent process had when it forked.
    """
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *map(str, words)], cwd=Path(__file__).parents[2], capture_output=True, text=True
    )
    status, peak = map(int, done.stderr.split()[-2:])
    assert status == 0, done.stderr
    return peak


@needs_linux
def test_the_peak_memory_of_ingest_is_bounded_whatever_the_size_of_the_files(long):
    output = long / "out.zarr"
    peak = peak_of(long / "0.hdf5", long / "1.hdf5", "--output", output, "--memory", MEMORY)
    image = zarr.open_array(output / "image", mode="r")
    assert image.shape[0] == 120_000
    assert image.nbytes > 1.6 * (MEMORY + PROGRAM), "the images alone would not fit"
    assert peak <= MEMORY + PROGRAM, f"{peak / 2**20:.0f} MiB"
    print(f"peak {peak / 2**20:.0f} MiB")


@needs_linux
def test_so_it_is_with_jets_in_row_groups_of_one_jet_of_many_and_of_all(tmp_path):
    (twenty,) = (Path(__file__).parent / "jets").glob("*.parquet")
    jets, memory = pa.concat_tables([pq.read_table(twenty)] * 10), 128 << 20
    program = PROGRAM + (80 << 20)  # pyarrow, and partial statistics of images that have 23 times as many values
    with pq.ParquetWriter(tmp_path / "jets.parquet", jets.schema) as writer:
        for part in range(15):
            writer.write_table(jets, row_group_size=1 if part % 2 else 200)
    pq.write_table(pa.concat_tables([jets] * 9), tmp_path / "at_once.parquet", row_group_size=1_800)
    files = tmp_path / "jets.parquet", tmp_path / "at_once.parquet"
    output = tmp_path / "out.zarr"
    peak = peak_of(*files, "--dataset", "quark-gluon", "--output", output, "--memory", memory)
    image = zarr.open_array(output / "image", mode="r")
    assert image.shape == (4_800, 125, 125, 3)
    assert image.nbytes > 1.6 * (memory + program), "the images alone would not fit"
    assert peak <= memory + program, f"{peak / 2**20:.0f} MiB"
    print(f"peak {peak / 2**20:.0f} MiB")
