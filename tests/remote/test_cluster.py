"""A cluster whose workers share only the object store makes the same store as threads of one process."""

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import Client

from store.locations import Url
from store.remote.objects import open_objects
from tests.examples import run_ingest, showers, write_hdf5
from tests.remote.dask_cluster import PROJECT, Cluster, can_hide, dask_cluster
from tests.remote.test_output import SIZES, make_stages_small
from tests.servers import s3_environment

SOURCES = "s3://showers/cluster-sources/*.hdf5"
RUN = """
import sys
import store.layout
from ingest import external_shuffle
from ingest.cli import app
from store import console

external_shuffle.STRETCH_BYTES, store.layout.SHARD_BYTES, store.layout.CHUNK_BYTES = map(int, sys.argv[1:4])
console.run(app, "convert", sys.argv[4:])
"""


@pytest.fixture(autouse=True)
def small_stages(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_stages_small(monkeypatch)


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory, s3_address: str) -> Path:
    """Return a folder that no worker sees, with two source files, which are at URLs too."""
    folder = tmp_path_factory.mktemp("mine")
    with s3_environment(s3_address):
        objects = open_objects(Url(SOURCES).parent)
        for label in (0, 1):
            path = write_hdf5(folder / f"{label}.hdf5", showers(150, label), label, chunks=(50, 32, 32, 2))
            objects.write(path.name, path.read_bytes())
    return folder


@pytest.fixture(scope="module")
def expected(mine: Path) -> str:
    """Return the content digest of the store that threads make of the files."""
    with pytest.MonkeyPatch.context() as patch:
        make_stages_small(patch)
        outcome = run_ingest(mine / "0.hdf5", mine / "1.hdf5", "--output", mine / "x.zarr")
    assert outcome.status == 0, outcome.err
    return digest((mine / "x.zarr" / "zarr.json").read_bytes())


def digest(root: bytes) -> str:
    text: str = json.loads(root)["attributes"]["content_digest"]
    return text


@pytest.fixture
def cluster(mine: Path, cache: Path, tmp_path: Path) -> Iterator[Cluster]:
    with dask_cluster(tmp_path, mine) as running:
        yield running


def test_workers_that_share_nothing_make_the_same_store(cluster: Cluster, mine: Path, expected: str) -> None:
    output = Url("s3://showers/cluster/x.zarr")
    outcome = run_ingest(SOURCES, "--output", output, "--scheduler", cluster.address)
    assert outcome.status == 0, outcome.err
    objects = open_objects(output.parent)
    assert digest(objects.read("x.zarr/zarr.json")) == expected
    assert {name.partition("/")[0] for name in objects.list()} == {"x.zarr"}
    for folder in cluster.folders:
        assert any((folder / "cache" / "files").rglob("*.hdf5"))
        assert not any((folder / "tmp").glob("calostream-*"))
    if can_hide():
        words = ("--scheduler", cluster.address, "--output")
        outcome = run_ingest(mine / "0.hdf5", mine / "1.hdf5", *words, "s3://showers/cluster/y.zarr")
        assert f"error: {mine / '0.hdf5'}: is here, but not on each worker" in outcome.err
        outcome = run_ingest(SOURCES, *words, mine / "y.zarr")
        assert f"error: {mine / '.y.zarr.ingest' / 'spool'}: is here, but not on each worker" in outcome.err
        assert not (mine / ".y.zarr.ingest").exists()
        assert {name.partition("/")[0] for name in objects.list()} == {"x.zarr"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "function"),
    [("ingest.spool", "pack_groups"), ("ingest.external_shuffle", "pack_shard"), ("ingest.statistics", "open_reader")],
)
def test_a_worker_that_dies_costs_only_its_task(cluster: Cluster, expected: str, module: str, function: str) -> None:
    with Client(cluster.address, set_as_default=False) as client:
        victim, *_ = client.scheduler_info()["workers"]
        client.run(replace, module, function, workers=[victim])
    output = Url(f"s3://showers/death-{function}/x.zarr")
    outcome = run_ingest(SOURCES, "--output", output, "--scheduler", cluster.address)
    assert outcome.status == 0, outcome.err
    objects = open_objects(output.parent)
    assert digest(objects.read("x.zarr/zarr.json")) == expected
    assert {name.partition("/")[0] for name in objects.list()} == {"x.zarr"}


def replace(module: str, name: str) -> None:
    setattr(importlib.import_module(module), name, die)


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.slow
def test_after_the_scheduler_was_killed_the_next_run_goes_on(
    cluster: Cluster, mine: Path, expected: str, tmp_path: Path
) -> None:
    output = Url("s3://showers/scheduler/x.zarr")
    sizes = (str(SIZES[name]) for name in ("STRETCH_BYTES", "SHARD_BYTES", "CHUNK_BYTES"))
    words = [SOURCES, "--output", str(output), "--scheduler"]
    program = [sys.executable, "-c", RUN, *sizes, *words, cluster.address]
    objects = open_objects(output.parent)
    with subprocess.Popen(program, cwd=PROJECT, stderr=subprocess.PIPE) as first:
        while not any("/image/c." in name for name in objects.list()):
            assert first.poll() is None
            time.sleep(0.02)
        cluster.scheduler.kill()
        _, errors = first.communicate()
    assert first.returncode == 1, errors.decode()
    assert f"error: {cluster.address}: the scheduler is gone; run this again" in errors.decode()
    assert "Traceback" not in errors.decode()
    stretches = [name for name in objects.list() if name.endswith(".run")]
    assert stretches
    with dask_cluster(tmp_path / "again", mine) as again:
        outcome = run_ingest(*words, again.address)
    assert outcome.status == 0, outcome.err
    assert digest(objects.read("x.zarr/zarr.json")) == expected
    assert {name.partition("/")[0] for name in objects.list()} == {"x.zarr"}
