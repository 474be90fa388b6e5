"""Stores with more shards than a process may open files, through every program that reads or writes images."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.examples import showers, write_hdf5

ROOT = Path(__file__).parents[2]
LIMIT = 256  # the usual limit on open files of macOS
FEW = 400  # images that are only ingested and trained on, in the form for every day
PROGRAM = f"""
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, ({LIMIT}, {LIMIT}))
import store.layout
store.layout.CHUNK_BYTES = store.layout.SHARD_BYTES = 1  # each image is a shard
from calostream import programs
getattr(programs, sys.argv.pop(1))()
"""
Run = Callable[..., None]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Return a function that runs a program with the limit, in a temporary folder, and checks that it succeeds."""

    def call(*words: str) -> None:
        command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}){PROGRAM}", *words]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=250)
        assert done.returncode == 0, f"{words}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}"

    return call


@pytest.mark.timeout(1500)
@pytest.mark.parametrize("images", [FEW, pytest.param(3000, marks=pytest.mark.slow)])
def test_a_store_may_have_more_shards_than_files_may_be_open(tmp_path: Path, run: Run, images: int) -> None:
    for label in (0, 1):
        write_hdf5(tmp_path / f"{label}.hdf5", showers(images // 2, seed=label), label, chunks=(100, 32, 32, 2))
    sources = ("0.hdf5", "1.hdf5")
    run("ingest", *sources, "--output", "s.zarr")
    assert len(list((tmp_path / "s.zarr/image").glob("c.*"))) == images > LIMIT
    run("train_torch", "--store", "s.zarr", "--run", "torch", "--epochs", "1")
    if images == FEW:
        return
    run("ingest", "statistics", "s.zarr")
    run("ingest", "verify", "s.zarr", *sources)
    run("ingest", "select", "--where", "source_row >= 10", "--output", "selected.zarr", "s.zarr")
    run("train_keras", "--store", "s.zarr", "--run", "keras", "--epochs", "1")
    run("evaluate", "report", "torch", "keras")
    run("evaluate", "score", "torch", "s.zarr")
    run("ingest", *sources, "--output", "cluster.zarr", "--workers", "2")
    assert len(list((tmp_path / "cluster.zarr/image").glob("c.*"))) == images
