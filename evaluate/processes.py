"""Work shared by processes that are forked for it."""

import multiprocessing
import signal
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import TypeVar

from store.errors import ConfigError
from store.provenance import count_processors

Item = TypeVar("Item")
Result = TypeVar("Result")


def as_completed(function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[tuple[int, Result]]:
    """Yield the position of each item and what the function returns for it, in the order in which they are ready.

    On Linux, as many processes as there are processors share the items. They see all that this process holds, so only
    results are pickled. The function must not need threads or locks of this process. Elsewhere, where system libraries
    do not survive a fork, this process does all.

    Raises
    ------
    ConfigError
        If a process is ended from outside, as when memory runs out.
    Exception
        What the function raises.
    """
    processes = min(count_processors(), len(items)) if sys.platform == "linux" else 1
    if processes < 2:
        yield from enumerate(map(function, items))
        return
    fork = multiprocessing.get_context("fork")
    children, reading = [], []
    try:
        for first in range(processes):
            reader, writer = fork.Pipe(duplex=False)
            share = range(first, len(items), processes)
            child = fork.Process(target=_work, args=(function, items, share, writer), daemon=True)
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
                child.start()
            writer.close()
            children.append(child)
            reading.append(reader)
        yield from _receive(reading)
        for child in children:
            child.join()
            if child.exitcode != 0:
                raise ConfigError(f"a process ended early (exit code {child.exitcode}); is there enough memory?")
    finally:
        for child in children:
            child.kill()
            child.join()


def _work(
    function: Callable[[Item], Result], items: Sequence[Item], positions: Iterable[int], writer: Connection
) -> None:
    """Send the result of each item, or the exception that it raised, which is the last then."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its children
    for position in positions:
        try:
            writer.send((position, function(items[position])))
        except Exception as error:
            writer.send((position, error))
            return


def _receive(reading: list[Connection]) -> Iterator[tuple[int, Result]]:
    """Yield what the processes send until all have ended."""
    while reading:
        for reader in wait(reading):
            assert isinstance(reader, Connection)
            try:
                position, result = reader.recv()
            except EOFError:
                reading.remove(reader)
                continue
            if isinstance(result, Exception):
                raise result
            yield position, result
