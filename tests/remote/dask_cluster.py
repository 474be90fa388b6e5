"""A dask cluster whose workers share nothing: folders, caches and temporary files of each are its own."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from distributed import Client

from tests.servers import free_port, wait_for_port

PROJECT = Path(__file__).parents[2]
DASK = [sys.executable, "-m", "dask"]
HIDE = 'while [ "$1" != -- ]; do mount -t tmpfs none "$1"; shift; done; shift; exec "$@"'


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A running cluster.

    Attributes
    ----------
    address
        Address of the scheduler.
    scheduler
        Its process.
    folders
        The folder of each worker.
    """

    address: str
    scheduler: "subprocess.Popen[bytes]"
    folders: Sequence[Path]


def can_hide() -> bool:
    """Return whether this process may hide folders from those that it starts, which takes root on Linux."""
    return shutil.which("unshare") is not None and subprocess.run(hiding([Path("/mnt")], ["true"])).returncode == 0


def hiding(folders: Sequence[Path], words: Sequence[str]) -> list[str]:
    """Return the words that start a program which sees empty folders in place of some."""
    return ["unshare", "--mount", "sh", "-c", HIDE, "sh", *map(str, folders), "--", *words]


@contextmanager
def dask_cluster(folder: Path, hidden: Path) -> Iterator[Cluster]:
    """Run a scheduler and two workers of one thread each during the ``with`` block.

    Parameters
    ----------
    folder
        Receives a folder for each worker, and logs.
    hidden
        Folder that no worker may see, if this process may hide it; it must exist.
    """
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    folders = [folder / f"worker-{number}" for number in range(2)]
    for own in folders:
        (own / "tmp").mkdir(parents=True)
    with ExitStack() as stack:

        def start(words: Sequence[str], name: str, cwd: Path, **environment: str) -> "subprocess.Popen[bytes]":
            log = stack.enter_context((folder / f"{name}.log").open("wb"))
            environment = {**os.environ, "PYTHONPATH": str(PROJECT), **environment}
            process = subprocess.Popen(words, cwd=cwd, env=environment, stdout=log, stderr=log)
            stack.callback(process.wait)
            stack.callback(process.kill)
            return process

        words = [*DASK, "scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"]
        scheduler = start(words, "scheduler", folder)
        wait_for_port(port, scheduler)
        for own, other in zip(folders, reversed(folders), strict=True):
            words = [*DASK, "worker", address, "--nworkers", "1", "--nthreads", "1", "--no-nanny", "--no-dashboard"]
            words = hiding([hidden, other], words) if can_hide() else words
            start(words, own.name, own, CALOSTREAM_CACHE="cache", TMPDIR=str(own / "tmp"))
        with Client(address, set_as_default=False) as client:
            client.wait_for_workers(len(folders), timeout=60)
        yield Cluster(address=address, scheduler=scheduler, folders=folders)
