"""Running many independent calls on Dask, with a progress bar: in threads, or on a `distributed` cluster."""

import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import rich.progress
from dask import threaded
from dask.base import compute
from dask.callbacks import Callback
from dask.delayed import delayed
from dask.system import CPU_COUNT

from store.console import console
from store.errors import ConfigError

T = TypeVar("T")


class Executor(Protocol):
    """What runs calls; a call may be run again, elsewhere, if what ran it went away."""

    @property
    def count(self) -> int:
        """Calls that run at once."""

    def run(
        self, function: Callable[..., T], calls: Sequence[tuple[Any, ...]], description: str, at_once: int | None = None
    ) -> list[T]:
        """Call a function once for each tuple of arguments, at most `at_once` at a time; return results in order.

        An error of a call is raised when no other call runs any more.
        """


@dataclass(frozen=True, kw_only=True)
class ThreadExecutor:
    """Threads of this process.

    Attributes
    ----------
    count
        Calls that run at once.
    """

    count: int = CPU_COUNT

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
    """A `distributed` cluster, whose workers see the same files under the same names.

    Attributes
    ----------
    client
        A connected ``distributed.Client``.
    """

    client: Any

    @property
    def count(self) -> int:
        """Threads of all executor."""
        return int(max(1, sum(self.client.nthreads().values())))

    def run(
        self, function: Callable[..., T], calls: Sequence[tuple[Any, ...]], description: str, at_once: int | None = None
    ) -> list[T]:
        """See `Executor.run`."""
        from distributed import as_completed

        results: dict[int, T] = {}
        failed: Exception | None = None
        waiting = iter(enumerate(calls))
        with rich.progress.Progress(console=console) as bar:
            line = bar.add_task(description, total=len(calls))
            running = as_completed(loop=self.client.loop)
            numbers = {}
            for number, call in itertools.islice(waiting, at_once or 2 * self.count):
                numbers[self._start(running, function, call)] = number
            for future in running:
                try:
                    results[numbers.pop(future.key)] = future.result()
                except Exception as error:
                    failed = failed or error
                bar.advance(line)
                if failed is None and (following := next(waiting, None)) is not None:
                    numbers[self._start(running, function, following[1])] = following[0]
        if failed is not None:
            raise failed
        return [results[number] for number in range(len(calls))]

    def _start(self, running: Any, function: Callable[..., T], call: tuple[Any, ...]) -> str:
        future = self.client.submit(function, *call, pure=False)
        running.add(future)
        return str(future.key)


@contextmanager
def open_executor(processes: int | None = None, scheduler: str | None = None) -> Iterator[Executor]:
    """Give threads by default, a local cluster of some processes, or a cluster that is running already.

    Parameters
    ----------
    processes
        Of a local cluster to start for the time of the context.
    scheduler
        Address of a running one, such as ``tcp://host:8786``.

    Raises
    ------
    ConfigError
        If both are given, `processes` is below 1, or nothing answers at `scheduler`.
    """
    if processes is None and scheduler is None:
        yield ThreadExecutor()
        return
    if processes is not None and scheduler is not None:
        raise ConfigError("workers and scheduler exclude each other: give one")
    from distributed import Client, LocalCluster

    # As the default, a client that reached nobody would go on taking every other computation of the process, for ever.
    if scheduler is not None:
        try:
            client = Client(scheduler, timeout=10, set_as_default=False)
        except (OSError, ValueError) as error:
            raise ConfigError(f"scheduler={scheduler}: no dask scheduler answers there ({error})") from None
        with client:
            yield ClusterExecutor(client=client)
        return
    if processes is not None and processes < 1:
        raise ConfigError(f"workers={processes} is below 1")
    with (
        LocalCluster(n_workers=processes, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield ClusterExecutor(client=client)
