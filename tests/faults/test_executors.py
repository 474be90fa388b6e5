"""An error of one call is raised once the others have ended, since they must not write after files are deleted."""

import time
from pathlib import Path

import pytest
from distributed import Client, LocalCluster

from ingest.executors import ClusterExecutor, Executor, ThreadExecutor


def test_threads(tmp_path: Path) -> None:
    check(ThreadExecutor(count=2), tmp_path)


def test_cluster(tmp_path: Path) -> None:
    with (
        LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        check(ClusterExecutor(client=client), tmp_path)


def check(executor: Executor, folder: Path) -> None:
    with pytest.raises(ValueError, match="wrong"):
        executor.run(fail_or_last, [(folder, number) for number in range(2)], "failing")
    assert (folder / "ended").exists()


def fail_or_last(folder: Path, number: int) -> None:
    if number:
        (folder / "started").touch()
        time.sleep(0.3)
        (folder / "ended").touch()
    else:
        while not (folder / "started").exists():
            time.sleep(0.01)
        raise ValueError("wrong")
