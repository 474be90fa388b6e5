"""Memory stays bounded however large the sources are, and every chunk is decompressed once."""

import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import zarr

from ingest.convert import Ingest, ingest
from ingest.executors import ThreadExecutor
from ingest.split import Split
from store.datasets import ELECTRON_PHOTON
from store.sources.hdf5 import Hdf5Source
from tests.ingest.test_memory import CHUNK, MEASURE, PROGRAM, write_long

ROWS = 700


@pytest.mark.parametrize(
    "layout",
    [
        {"chunks": (50, 32, 32, 2), "compression": "gzip"},  # four chunks per stretch
        {
            "chunks": (333, 32, 32, 2),
            "compression": "gzip",
            "shuffle": True,
        },  # a chunk is more than a stretch
        {"chunks": (333, 32, 32, 2), "compression": "lzf"},
        {"chunks": (150, 16, 32, 1), "compression": "gzip"},  # each image in four chunks
        {},
    ],
    ids=["small chunks", "large chunks", "lzf", "parts of images", "no chunks"],
)
def test_every_chunk_is_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: Mapping[str, object]
) -> None:
    for label in (0, 1):
        with h5py.File(tmp_path / f"{label}.hdf5", "w") as file:
            file.create_dataset("X", data=np.zeros((ROWS, 32, 32, 2), np.float32), **layout)
            file["y"] = np.full(ROWS, label)
    monkeypatch.setattr("ingest.external_shuffle.STRETCH_BYTES", 200 * ELECTRON_PHOTON.sample_bytes)
    reads: list[tuple[Path, int, int]] = []
    read = Hdf5Source._open_block

    def note(source: Hdf5Source, dataset: h5py.Dataset, start: int, stop: int, allocate: Any) -> object:
        reads.append((source.path, start, stop))
        return read(source, dataset, start, stop, allocate)

    monkeypatch.setattr(Hdf5Source, "_open_block", note)
    monkeypatch.setattr("ingest.notes.describe_oddities", lambda source: "")  # looks at a few images before
    sources = (tmp_path / "0.hdf5", tmp_path / "1.hdf5")
    split = Split.parse("0.7,0.1,0.2")
    job = Ingest(sources=sources, spec=ELECTRON_PHOTON, output=tmp_path / "out.zarr", split=split)
    ingest(job, ThreadExecutor(count=2))
    chunk = layout["chunks"][0] if layout else 1
    for source in sources:
        spans = sorted((start, stop) for path, start, stop in reads if path == source)
        assert [start for start, _ in spans] == [0, *(stop for _, stop in spans[:-1])]
        assert spans[-1][1] == ROWS
        assert not any(start % chunk for start, _ in spans)


@pytest.fixture
def long(tmp_path: Path) -> Iterator[Path]:
    """Give a folder with two files of half a million images each, 8.2 GB together when decompressed."""
    for label in (0, 1):
        write_long(tmp_path / f"{label}.hdf5", label, 500_000 // CHUNK + 1)
    yield tmp_path
    shutil.rmtree(tmp_path)


@pytest.mark.faults
@pytest.mark.timeout(1800)
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux, to read the peak memory of a process")
def test_peak_memory_of_a_million_images(long: Path) -> None:
    words = [long / "0.hdf5", long / "1.hdf5", "--output", long / "out.zarr", "--memory", "1GiB"]
    done = subprocess.run([sys.executable, "-c", MEASURE, *words], capture_output=True, text=True)
    status, peak = map(int, done.stderr.split()[-2:])
    assert status == 0, done.stderr
    assert zarr.open_array(long / "out.zarr" / "image", mode="r").shape[0] > 1_000_000
    print(f"peak {peak / 2**20:.0f} MiB")
    assert peak <= (1 << 30) + PROGRAM
