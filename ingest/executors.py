"""Running many independent calls with a progress bar: in Dask threads, or on a `distributed` cluster."""

import functools
import itertools
import logging
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import rich.progress
from dask import threaded
from dask.base import compute
from dask.callbacks import Callback
from dask.delayed import delayed
from dask.system import CPU_COUNT

from store.console import console
from store.errors import ConfigError, RemoteError
from store.locations import URL

if TYPE_CHECKING:
    from distributed import LocalCluster

T = TypeVar("T")
POLL = 0.02  # seconds between two looks at what is finished
WORKER_TIMEOUT = 10  # seconds to wait for the first worker of a running scheduler


class Executor(Protocol):
    """Runs independent calls at once; a call is repeated on another worker if its worker dies."""

    @property
    def count(self) -> int:
        """Number of calls that run at once."""

    @property
    def shares_disk(self) -> bool:
        """Whether all calls run on this machine."""

    def run(
        self, function: Callable[..., T], calls: Sequence[tuple[Any, ...]], description: str, at_once: int | None = None
    ) -> list[T]:
        """Call a function once for each tuple of arguments, and return the results in order.

        If a call raises an error, no further call is started; the error is raised once all running calls have ended.

        Parameters
        ----------
        function
            The function.
        calls
            Arguments of each call.
        description
            Text beside the progress bar.
        at_once
            Limit on the calls that run at once, if it is below `count`.
        """


@dataclass(frozen=True, kw_only=True)
class ThreadExecutor:
    """Runs calls in threads of this process.

    Attributes
    ----------
    count
        Number of threads.
    """

    count: int = CPU_COUNT
    shares_disk = True

    def run(
        self, function: Callable[..., T], calls: Sequence[tuple[Any, ...]], description: str, at_once: int | None = None
    ) -> list[T]:
        """See `Executor.run`."""
        tasks = [delayed(functools.partial(function, *call), pure=False)() for call in calls]
        with rich.progress.Progress(console=console) as bar:
            line = bar.add_task(description, total=len(tasks))
            pool = ThreadPoolExecutor(min(self.count, at_once or self.count))
            with pool, Callback(posttask=lambda *_: bar.advance(line)):
                return list(compute(*tasks, scheduler=threaded.get, pool=pool))


@dataclass(frozen=True, kw_only=True)
class ClusterExecutor:
    """Runs calls on a `distributed` cluster.

    Files that are named by paths must be seen by all workers under the same paths; those at URLs need not.

    Attributes
    ----------
    client
        A connected ``distributed.Client``.
    shares_disk
        Whether all workers are on this machine.
    """

    client: Any
    shares_disk: bool = False

    @property
    def count(self) -> int:
        """Number of threads of all workers."""
        return int(max(1, sum(self.client.nthreads().values())))

    def run(
        self, function: Callable[..., T], calls: Sequence[tuple[Any, ...]], description: str, at_once: int | None = None
    ) -> list[T]:
        """See `Executor.run`."""
        results: dict[int, T] = {}
        failure: Exception | None = None
        waiting = iter(enumerate(calls))
        running: dict[Any, int] = {}  # number of the call of each future

        def start(count: int) -> None:
            for number, call in itertools.islice(waiting, count):
                running[self.client.submit(function, *call, pure=False)] = number

        with rich.progress.Progress(console=console) as bar:
            line = bar.add_task(description, total=len(calls))
            start(at_once or 2 * self.count)
            while running:
                future = self._wait(running)
                number = running.pop(future)
                try:
                    results[number] = self._result(future)
                except Exception as error:
                    failure = failure or error
                bar.advance(line)
                if failure is None:
                    start(1)
        if failure is not None:
            raise self._explain(failure)
        return [results[number] for number in range(len(calls))]

    def _wait(self, running: Iterable[Any]) -> Any:
        """Return a future that is finished; whatever dask does with the futures of a lost scheduler, this ends."""
        while True:
            for future in running:
                if future.done():
                    return future
            if self.client.status != "running":
                raise self._lost()
            time.sleep(POLL)

    def _result(self, future: Any) -> Any:
        from distributed.comm.core import CommClosedError

        try:
            return future.result()
        except (CancelledError, CommClosedError):
            raise self._lost() from None

    def _lost(self) -> RemoteError:
        return RemoteError(
            f"{self.client.scheduler.address}: the scheduler is gone; run this again with another one: "
            "it resumes where it stopped"
        )

    def _explain(self, failure: Exception) -> Exception:
        """Return the error of a call, or what to do if a worker does not see a file that this machine sees."""
        name = getattr(failure, "filename", None)
        if not isinstance(failure, FileNotFoundError) or name is None or URL.match(os.fspath(name)):
            return failure
        path = next((path for path in (Path(name), Path(name).parent) if path.exists()), None)
        if path is None or all(self.client.run(os.path.exists, str(path)).values()):
            return failure
        return ConfigError(
            f"{path}: is here, but not on each worker of the cluster; without a disk that all of them share, "
            "give URLs for the sources and --output, such as s3://bucket/NAME"
        )


@contextmanager
def open_executor(processes: int | None = None, scheduler: str | None = None) -> Iterator[Executor]:
    """Yield an executor: threads by default, a local cluster of processes, or a cluster that is already running.

    Parameters
    ----------
    processes
        Number of processes of a local cluster, which runs as long as the ``with`` block.
    scheduler
        Address of the scheduler of a running cluster, such as ``tcp://host:8786``.

    Yields
    ------
    Executor
        Where the work is done, as long as the ``with`` block lasts.

    Raises
    ------
    ConfigError
        If both are given, `processes` is below 1, or no scheduler answers at the address.

    Examples
    --------
    >>> with cs.open_executor() as executor:  # threads of this process
    ...     print(type(executor).__name__)
    ThreadExecutor
    """
    if processes is None and scheduler is None:
        yield ThreadExecutor()
        return
    if processes is not None and scheduler is not None:
        raise ConfigError("workers and scheduler exclude each other: give only one of them")
    from distributed import Client

    # A client that is the default and reaches no scheduler would receive every other Dask computation of the process.
    if scheduler is not None:
        logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # it logs what becomes one line here
        try:
            client = Client(scheduler, timeout=10, set_as_default=False)
        except (OSError, ValueError) as error:
            raise ConfigError(f"scheduler={scheduler}: no dask scheduler answers at this address ({error})") from None
        with client:
            try:
                client.wait_for_workers(1, timeout=WORKER_TIMEOUT)
            except TimeoutError:
                raise ConfigError(
                    f"scheduler={scheduler}: no worker has joined this scheduler; "
                    f"start one with `dask worker {scheduler}`"
                ) from None
            yield ClusterExecutor(client=client)
        return
    if processes is not None and processes < 1:
        raise ConfigError(f"workers={processes} is below 1")
    with _start_cluster(processes) as cluster, Client(cluster, set_as_default=False) as client:
        yield ClusterExecutor(client=client, shares_disk=True)


def _start_cluster(processes: int | None) -> "LocalCluster":
    """Start a local cluster of processes with one thread each.

    An interruption meanwhile waits for the start, because a cluster that has not started cannot be closed.
    """
    with ThreadPoolExecutor(1) as thread:
        start = thread.submit(_make_cluster, processes)
        try:
            return start.result()
        except KeyboardInterrupt:
            with suppress(Exception):
                start.result().close()
            raise


def _make_cluster(processes: int | None) -> "LocalCluster":
    """Start a cluster whose processes never see Ctrl-C, which a terminal sends to them, too: this process ends them."""
    from distributed import LocalCluster

    resource_tracker.ensure_running()  # which would end the blocking, if it started later
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # of this thread, and of what it starts
    return LocalCluster(n_workers=processes, threads_per_worker=1, dashboard_address=":0")
