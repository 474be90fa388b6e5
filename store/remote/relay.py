"""Requests of forked processes: the libraries' own threads are missing there, so another process sends the requests.

``python -m store.remote.relay FD`` is that process: it answers requests that come over a socket until that is closed.
"""

import functools
import itertools
import os
import socket
import subprocess
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import Any

from store.errors import RemoteError
from store.locations import Url
from store.remote.objects import ObjectInfo, open_objects

AT_ONCE = 32  # requests


class RelayedObjects:
    """Objects below a URL, through another process; see `store.remote.objects.Objects`.

    Parameters
    ----------
    url
        See `store.remote.objects.Objects`.
    """

    def __init__(self, url: Url) -> None:
        self.url = url

    def info(self, name: str = "") -> ObjectInfo | None:
        """See `store.remote.objects.Objects.info`."""
        info: ObjectInfo | None = self._call("info", name)
        return info

    def read(self, name: str = "", start: int = 0, stop: int | None = None) -> bytes:
        """See `store.remote.objects.Objects.read`."""
        content: bytes = self._call("read", name, start, stop)
        return content

    def list(self, prefix: str = "") -> dict[str, int]:
        """See `store.remote.objects.Objects.list`."""
        sizes: dict[str, int] = self._call("list", prefix)
        return sizes

    def entries(self, prefix: str = "") -> dict[str, bool]:
        """See `store.remote.objects.Objects.entries`."""
        entries: dict[str, bool] = self._call("entries", prefix)
        return entries

    def write(self, name: str, content: bytes | memoryview) -> None:
        """See `store.remote.objects.Objects.write`."""
        self._call("write", name, bytes(content))

    def delete(self, name: str) -> None:
        """See `store.remote.objects.Objects.delete`."""
        self._call("delete", name)

    def _call(self, method: str, *arguments: Any) -> Any:
        return _start_relay(os.getpid()).call(self.url, method, *arguments)


class Relay:
    """The process that sends requests, and the answers that are awaited from it."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            words = [sys.executable, "-m", "store.remote.relay", str(theirs.fileno())]
            environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
            self._process = subprocess.Popen(words, pass_fds=[theirs.fileno()], env=environment)
        self._connection = Connection(ours.detach())
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._awaited: dict[int, Future[Any]] = {}
        threading.Thread(target=self._receive, daemon=True, name="calostream-relay").start()

    def call(self, url: Url, method: str, *arguments: Any) -> Any:
        """Return what a method of the objects at a URL returns, or raise what it raises."""
        answer: Future[Any] = Future()
        with self._lock:
            number = next(self._numbers)
            self._awaited[number] = answer
            try:
                self._connection.send((number, url, method, arguments))
            except OSError:
                raise self._explain(url) from None
        return answer.result()

    def _receive(self) -> None:
        try:
            while True:
                number, result, error = self._connection.recv()
                answer = self._awaited.pop(number)
                if error is None:
                    answer.set_result(result)
                else:
                    answer.set_exception(error)
        except (EOFError, OSError):
            with self._lock:
                for answer in self._awaited.values():
                    answer.set_exception(self._explain(None))

    def _explain(self, url: Url | None) -> RemoteError:
        subject = f"{url}: cannot be reached, since " if url else ""
        return RemoteError(f"{subject}the process that sends requests has ended; start again")


@functools.lru_cache(maxsize=1)
def _start_relay(_process: int) -> Relay:
    return Relay()


def serve(connection: Connection) -> None:
    """Answer requests until the connection is closed."""
    lock = threading.Lock()

    def answer(number: int, url: Url, method: str, arguments: tuple[Any, ...]) -> None:
        result, error = None, None
        try:
            result = getattr(open_objects(url), method)(*arguments)
        except Exception as raised:
            error = raised.with_traceback(None)
            error.__cause__ = error.__context__ = None
        with lock:
            connection.send((number, result, error))

    with ThreadPoolExecutor(AT_ONCE) as pool:
        while True:
            try:
                request = connection.recv()
            except (EOFError, OSError):
                os._exit(0)  # nobody awaits the answers
            pool.submit(answer, *request)


if __name__ == "__main__":
    serve(Connection(int(sys.argv[1])))
