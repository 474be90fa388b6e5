"""An HTTP server that forwards to another one, counts what it sends, and fails or slows down as a test asks."""

import http.client
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

PIECE = 1 << 16
PASSED_ON = ("content-length", "content-type", "content-range", "etag", "last-modified", "accept-ranges", "location")


@dataclass(kw_only=True)
class Faults:
    """What a server does wrong; may be changed while it runs.

    Attributes
    ----------
    only
        Regular expression for the paths that are concerned; others are answered as they should be.
    failures
        Number of requests that are still answered with `status`; -1 for all.
    status
        See `failures`.
    hang
        Whether requests are never answered.
    cut
        Number of answers that still end after half of their body; -1 for all.
    latency
        Seconds before each answer.
    bandwidth
        Bytes per second of all answers together, or None for no limit.
    """

    only: str = ""
    failures: int = 0
    status: int = 500
    hang: bool = False
    cut: int = 0
    latency: float = 0.0
    bandwidth: float | None = None
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def take(self, name: str) -> bool:
        """Return whether one more request has the fault ``failures`` or ``cut``, and count it down."""
        with self.lock:
            left: int = getattr(self, name)
            if left > 0:
                setattr(self, name, left - 1)
            return left != 0


class FaultyServer(ThreadingHTTPServer):
    """Serves a folder, or forwards every request to another server.

    Attributes
    ----------
    faults
        See `Faults`.
    requests
        Method and path of each request, without its query.
    sent
        Bytes of bodies sent for each path, without those of errors.
    before
        Called with method and path before each answer, or None.
    """

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, source: Path | str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.source = source
        self.faults = Faults()
        self.requests: list[tuple[str, str]] = []
        self.sent: Counter[str] = Counter()
        self.before: Callable[[str, str], object] | None = None
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._free_at = 0.0

    @property
    def address(self) -> str:
        """Such as ``http://127.0.0.1:8000``."""
        return f"http://127.0.0.1:{self.server_port}"

    def count(self, path: str, size: int) -> None:
        """Note bytes that are sent, and wait until the link has room for them."""
        with self._lock:
            self.sent[path] += size
            begin = max(time.monotonic(), self._free_at)
            self._free_at = begin + (size / self.faults.bandwidth if self.faults.bandwidth else 0)
            wait = self._free_at - time.monotonic()
        if wait > 0:
            self.closing.wait(wait)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FaultyServer

    def log_message(self, *_: object) -> None:
        """Log nothing."""

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        server, faults = self.server, self.server.faults
        server.requests.append((self.command, path))
        if server.before is not None:
            server.before(self.command, path)
        concerned = re.search(faults.only, path) is not None
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if concerned and faults.latency:
            server.closing.wait(faults.latency)
        if concerned and faults.hang:
            server.closing.wait(600)
            self.close_connection = True
            return
        if concerned and faults.take("failures"):
            self._send(faults.status, {"Content-Length": "0"}, iter(()), path, None)
            return
        source = server.source
        status, headers, pieces = (
            _read_file(source, path, self.headers.get("Range"))
            if isinstance(source, Path)
            else self._forward(source, body)
        )
        size = int(headers.get("Content-Length", 0))
        is_cut = concerned and self.command == "GET" and size > 1 and faults.take("cut")
        self._send(status, headers, pieces, path, size // 2 if is_cut else None)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _answer

    def _send(
        self, status: int, headers: dict[str, str], pieces: Iterator[bytes], path: str, limit: int | None
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        left = limit
        for piece in pieces:
            piece = piece if left is None else piece[:left]
            self.server.count(path, len(piece))
            self.wfile.write(piece)
            left = None if left is None else left - len(piece)
            if left == 0:
                self.close_connection = True
                return

    def _forward(self, address: str, body: bytes) -> tuple[int, dict[str, str], Iterator[bytes]]:
        connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
        connection.request(self.command, self.path, body or None, dict(self.headers.items()))
        response = connection.getresponse()
        headers = {name.title(): value for name, value in response.getheaders() if name.lower() in PASSED_ON}
        if "Content-Length" in headers:
            return response.status, headers, iter(lambda: response.read(PIECE), b"")
        content = response.read()
        return response.status, {**headers, "Content-Length": str(len(content))}, iter((content,))


def _read_file(folder: Path, path: str, asked: str | None) -> tuple[int, dict[str, str], Iterator[bytes]]:
    file = folder / path.lstrip("/")
    if not file.is_file():
        return 404, {"Content-Length": "0"}, iter(())
    status = file.stat()
    first, last = 0, status.st_size - 1
    span = re.fullmatch(r"bytes=(\d+)-(\d*)", asked or "")
    if span:
        first, last = int(span[1]), min(last, int(span[2] or last))
    headers = {
        "Content-Length": str(last + 1 - first),
        "Accept-Ranges": "bytes",
        "ETag": f'"{status.st_mtime_ns:x}-{status.st_size:x}"',
    }
    if span:
        headers["Content-Range"] = f"bytes {first}-{last}/{status.st_size}"
    return 206 if span else 200, headers, _pieces(file, first, last + 1)


def _pieces(file: Path, start: int, stop: int) -> Iterator[bytes]:
    with file.open("rb") as stream:
        stream.seek(start)
        while start < stop:
            piece = stream.read(min(PIECE, stop - start))
            if not piece:
                return
            start += len(piece)
            yield piece


@contextmanager
def faulty_server(source: Path | str) -> Iterator[FaultyServer]:
    """Run a `FaultyServer` for a folder, or in front of the server at an address, in a thread."""
    server = FaultyServer(source)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()
