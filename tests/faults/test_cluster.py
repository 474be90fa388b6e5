"""A cluster of processes makes the same store, and if a process dies, only its current task is repeated."""

import importlib
import json
import os
import re
import shutil
import signal
import time
import uuid
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
from distributed import Client, LocalCluster

from ingest.convert import Ingest, ingest
from ingest.executors import ClusterExecutor
from ingest.split import Split
from ingest.statistics import write_statistics
from ingest.verify import verify
from store.datasets import ELECTRON_PHOTON
from store.digests import write_digests
from store.files import write_whole
from tests.faults.conftest import Undisturbed, refusal
from tests.faults.program import Run, start
from tests.faults.test_kill import FULL, check_rerun, identities

NOBODY = "tcp://127.0.0.1:9"  # port of the discard service, which machines no longer run


@pytest.fixture(scope="module", autouse=True)
def unanswered(undisturbed: Undisturbed, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Start an ingest that needs ten seconds to fail, so that it fails while the other tests run."""
    store = tmp_path_factory.mktemp("unanswered") / "showers.zarr"
    return start(tmp_path_factory.mktemp("notes"), *undisturbed.words, "--output", store, "--scheduler", NOBODY)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Client]:
    """Start a cluster of two workers, which restarts a worker that is killed."""
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        yield client


def test_two_processes_of_its_own_make_the_same_store(undisturbed: Undisturbed, tmp_path: Path, notes: Path) -> None:
    store = tmp_path / "showers.zarr"
    run = start(notes, *undisturbed.words, "--output", store, "--workers", "2")
    assert run.wait() == 0, run.output
    undisturbed.check(store)


def test_workers_may_run_in_another_folder(
    undisturbed: Undisturbed, cluster: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    sources = tuple(Path(shutil.copy(source, source.name)) for source in undisturbed.sources)
    executor, store = ClusterExecutor(client=cluster), Path("showers.zarr")
    ingest(Ingest(sources=sources, spec=ELECTRON_PHOTON, output=store, split=Split.parse("0.7,0.1,0.2")), executor)
    write_statistics(store, executor)
    write_digests(store)
    assert verify(store, sources, executor).problems == ()


@pytest.mark.parametrize(
    ("module", "function", "pattern"),
    [
        ("ingest.places", "write_whole", r"/c\.\d"),  # while it writes a shard
        pytest.param("ingest.places", "write_whole", r"\d\.json", marks=FULL),  # while it writes a record
        pytest.param("ingest.statistics", "open_reader", "", marks=FULL),
    ],
)
def test_a_worker_that_dies_costs_only_its_task(
    undisturbed: Undisturbed, cluster: Client, tmp_path: Path, notes: Path, module: str, function: str, pattern: str
) -> None:
    cluster.wait_for_workers(2, timeout=60)
    victim, *_ = cluster.scheduler_info()["workers"]
    death = notes / "death.json"
    cluster.run(replace, module, function, partial(die, death, pattern), workers=[victim])
    store = tmp_path / "showers.zarr"
    run = start(notes, *undisturbed.words, "--output", store, "--scheduler", cluster.scheduler.address)
    assert run.wait() == 0, run.output
    undisturbed.check(store)
    shards = json.loads(death.read_text())
    assert {name: list(identity) for name, identity in image_files(store).items()}.items() >= shards.items()


def replace(module: str, name: str, function: object) -> None:
    """Replace a function of this process."""
    setattr(importlib.import_module(module), name, function)


def image_files(store: Path) -> dict[str, tuple[int, int]]:
    return {str(path): identity for path, identity in identities(store / "image", "c.*.0.0.0").items()}


def die(death: Path, pattern: str, *arguments: Any) -> None:
    """Note which shards are finished, write half of a file whose name has a pattern, and kill this process."""
    if pattern:
        path, content = arguments
        if not re.search(pattern, str(path)):
            write_whole(path, content)
            return
    else:
        path, content = arguments[1].folder, None
    staging = next(folder for folder in (path, *path.parents) if folder.name.endswith(".ingest"))
    death.write_text(json.dumps(image_files(staging / "store")))
    if content:
        path.with_name(f".{path.stem}.{uuid.uuid4().hex}.partial{path.suffix}").write_bytes(
            content[: len(content) // 2]
        )
    os.kill(os.getpid(), signal.SIGKILL)


@FULL
def test_what_workers_still_do_after_the_program_was_killed_does_no_harm(
    undisturbed: Undisturbed, cluster: Client, tmp_path: Path, notes: Path
) -> None:
    cluster.wait_for_workers(2, timeout=60)
    slow, *_ = cluster.scheduler_info()["workers"]
    cluster.run(replace, "ingest.places", "write_whole", partial(wait_and_write, notes), workers=[slow])
    store = tmp_path / "showers.zarr"
    run = start(notes, *undisturbed.words, "--output", store, "--scheduler", cluster.scheduler.address)
    wait_for(notes / "waiting")
    run.kill()
    run.wait()
    check_rerun(undisturbed, notes, store)
    (notes / "go").touch()
    wait_for(notes / "done")
    undisturbed.check(store)


def wait_and_write(notes: Path, path: Path, content: bytes) -> None:
    if path.suffix != ".json":
        write_whole(path, content)
        return
    (notes / "waiting").touch()
    wait_for(notes / "go")
    try:
        write_whole(path, content)
    finally:
        (notes / "done").touch()


def wait_for(path: Path) -> None:
    while not path.exists():
        time.sleep(0.01)


@FULL
def test_a_cluster_of_its_own_ends_with_the_program(undisturbed: Undisturbed, tmp_path: Path, notes: Path) -> None:
    store = tmp_path / "showers.zarr"
    run = start(notes, *undisturbed.words, "--output", store, "--workers", "2")
    wait_for(tmp_path / ".showers.zarr.ingest" / "spool")
    processes = psutil.Process(run.process.pid).children(recursive=True)
    assert len(processes) >= 2
    run.kill()
    run.wait()
    check_rerun(undisturbed, notes, store)
    _, alive = psutil.wait_procs(processes, timeout=100)
    assert not alive
    undisturbed.check(store)


def test_nobody_answers(unanswered: Run) -> None:
    assert f"scheduler={NOBODY}: no dask scheduler answers at this address" in refusal(unanswered)
