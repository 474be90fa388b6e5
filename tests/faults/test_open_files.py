"""More shards, or more sources, than a process may open files, through every program that reads or writes them."""

import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zarr

from tests.examples import run_ingest, showers, write_hdf5

ROOT = Path(__file__).parents[2]
LIMIT = 256  # the usual limit on open files of macOS
SHOWERS = showers(100)
FEW = 300  # images that are only ingested and trained on, in the form for every day
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
    run("train_torch", "--store", "s.zarr", "--run", "torch", "--epochs", "1", "--model", "cnn-small")
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


@pytest.fixture
def few_open_files(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Limit the files that this process, and those that it starts, may open."""
    monkeypatch.setattr("store.console.OPEN_FILES", LIMIT)  # the programs raise their limit up to this number
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (LIMIT, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def numbered(numbers: np.ndarray) -> np.ndarray:
    """Return an image for each number, float32 (n, 32, 32, 2), which has the number in its first cell."""
    images = SHOWERS[numbers % len(SHOWERS)]
    images[:, 0, 0, 0] = numbers
    return images


def write_many(folder: Path, files: int, rows: int) -> None:
    """Write numbered images to HDF5 and Parquet files in turn, in folders with equal names of files."""
    for number in range(files):
        path = folder / f"run{number // 100:02d}" / f"{number % 100:02d}"
        path.parent.mkdir(parents=True, exist_ok=True)
        images, label = numbered(np.arange(number * rows, (number + 1) * rows)), np.arange(rows) % 2
        if number % 2:
            buffer = pa.py_buffer(images.tobytes())
            column = pa.FixedSizeBinaryArray.from_buffers(pa.binary(8192), rows, [None, buffer])
            pq.write_table(pa.table({"X": column, "y": label}), path.with_suffix(".parquet"))
        else:
            write_hdf5(path.with_suffix(".h5"), images, label)


@pytest.mark.timeout(1500)
@pytest.mark.parametrize(("files", "rows"), [(300, 2), pytest.param(3000, 20, marks=pytest.mark.slow)])
def test_there_may_be_more_sources_than_files_may_be_open(
    tmp_path: Path, few_open_files: None, files: int, rows: int
) -> None:
    """Sources above the 255th are told apart, in the store and by verify."""
    write_many(tmp_path / "in", files, rows)
    outcome = run_ingest(tmp_path / "in", "--output", tmp_path / "out.zarr")
    assert outcome.status == 0, outcome.err
    assert f"and {files - 20:,} more; {files:,} sources of {files * rows:,} rows in all" in outcome.out
    group = zarr.open_group(tmp_path / "out.zarr", mode="r")
    names = [source["name"] for source in group.attrs["sources"]]
    assert names[:2] == ["run00/00.h5", "run00/01.parquet"]
    assert names == sorted(names)
    file, row = group["source_file"][:], group["source_row"][:]
    assert file.dtype == np.uint16
    origin = file.astype(int) * rows + row
    assert np.array_equal(np.sort(origin), np.arange(files * rows))
    for start in range(0, files * rows, 10_000):
        some = slice(start, start + 10_000)
        assert np.array_equal(group["image"][some], numbered(origin[some]))
    verified = run_ingest("verify", tmp_path / "out.zarr", tmp_path / "in")
    assert f"{files * rows:,} images equal to their sources" in verified.out, verified.err
    other = write_hdf5(tmp_path / "other.h5", showers(2, 9), 1)
    refused = run_ingest("verify", tmp_path / "out.zarr", other)
    assert "matches none of the store's sources (run00/00.h5, " in refused.err
    assert f"run00/04.h5 and {files - 5:,} more)" in refused.err
    if files < 1000:
        return
    outcome = run_ingest(tmp_path / "in", "--output", tmp_path / "cluster.zarr", "--workers", "2")
    assert outcome.status == 0, outcome.err
    cluster = zarr.open_group(tmp_path / "cluster.zarr", mode="r")
    assert cluster.attrs["content_digest"] == group.attrs["content_digest"]
    verified = run_ingest("verify", tmp_path / "cluster.zarr", tmp_path / "in", "--workers", "2")
    assert verified.status == 0, verified.err
