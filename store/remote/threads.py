"""Threads that wait for servers, and do not keep a program from ending when it is interrupted."""

import functools
import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
V = TypeVar("V")


class RequestThreads:
    """A pool of threads for calls that may wait for a server.

    At its end, Python waits for the threads of a `ThreadPoolExecutor`, and so for minutes if a server does not answer.
    These threads just end with the process.

    Parameters
    ----------
    count
        Largest number of threads; they are started when they are needed.
    name
        Name of the threads.
    """

    def __init__(self, count: int, name: str = "calostream-request") -> None:
        self._count, self._name = count, name
        self._tasks: SimpleQueue[tuple[Future[Any], Callable[..., Any], tuple[Any, ...]] | None] = SimpleQueue()
        self._threads = 0
        self._idle = threading.Semaphore(0)
        self._lock = threading.Lock()

    def __enter__(self) -> "RequestThreads":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def submit(self, function: Callable[..., T], *arguments: Any) -> Future[T]:
        """Call a function in a thread, and return the future of its result."""
        future: Future[T] = Future()
        self._tasks.put((future, function, arguments))
        with self._lock:
            if not self._idle.acquire(blocking=False) and self._threads < self._count:
                self._threads += 1
                threading.Thread(target=self._work, daemon=True, name=self._name).start()
        return future

    def map(self, function: Callable[[V], T], values: Iterable[V]) -> list[T]:
        """Return the results of a function for some values; after an error, calls that have not begun are cancelled."""
        futures = [self.submit(function, value) for value in values]
        try:
            return [future.result() for future in futures]
        except BaseException:
            for future in futures:
                future.cancel()
            raise

    def close(self) -> None:
        """End the threads, each after the call that it is in."""
        with self._lock:
            for _ in range(self._threads):
                self._tasks.put(None)

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            future, function, arguments = task
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(function(*arguments))
                except BaseException as error:  # the one who waits for the result gets it
                    future.set_exception(error)
            del task, future
            self._idle.release()


def interruptible(function: Callable[P, T]) -> Callable[P, T]:
    """Decorate a function so that Ctrl-C ends the main thread's wait for it, even if it waits for a server."""

    @functools.wraps(function)
    def call(*arguments: P.args, **options: P.kwargs) -> T:
        if threading.current_thread() is not threading.main_thread():
            return function(*arguments, **options)
        return _stand_ins(os.getpid()).submit(functools.partial(function, *arguments, **options)).result()

    return call


@functools.lru_cache(maxsize=1)
def _stand_ins(_process: int) -> RequestThreads:
    """Return threads that wait in the place of the main thread."""
    return RequestThreads(8)  # since those of interrupted calls may still wait
