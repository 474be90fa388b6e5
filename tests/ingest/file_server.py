"""A local server of one file, with the faults that a test asks for."""

import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from ingest.fetch import Download

NAME = "photons.hdf5"


class Server(ThreadingHTTPServer):
    """Serves one file, with faults.

    Attributes
    ----------
    content, tag
        The file, and its ETag.
    faults
        Faults of the next requests, one for each request: the number of bytes after which the connection ends,
        ``stall`` to stop sending after half of the bytes, an HTTP status, ``page`` or ``disguised page`` for a web page
        instead of the file, or ``endless`` to leave out the size.
    ranges
        Whether ranges are served.
    asked
        The header ``Range`` of every request, or None for requests without it.
    """

    daemon_threads = True

    def __init__(self, content):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.tag, self.faults, self.ranges, self.asked = content, '"one"', [], True, []
        self.wake = threading.Event()

    @property
    def download(self):
        return Download(name=NAME, url=f"http://127.0.0.1:{self.server_port}/files/{NAME}")


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        server, asked = self.server, self.headers.get("Range")
        server.asked.append(asked)
        fault = server.faults.pop(0) if server.faults else None
        if fault in (404, 500, 403):
            self.send_error(fault)
            return
        if fault in ("page", "disguised page"):
            page = b"<html>come back later</html>"
            kind = "text/html; charset=utf-8" if fault == "page" else "application/octet-stream"
            self.answer(200, {"Content-Type": kind, "Content-Length": len(page)}, page)
            return
        first = 0
        if asked and server.ranges and self.headers.get("If-Range") == server.tag:
            first = int(re.fullmatch(r"bytes=(\d+)-", asked)[1])
        total = len(server.content)
        if first >= total > 0 and first:
            self.answer(416, {"Content-Range": f"bytes */{total}", "Content-Length": 0}, b"")
            return
        body = server.content[first:]
        headers = {"Content-Type": "application/x-hdf5", "ETag": server.tag}
        if fault != "endless":
            headers["Content-Length"] = len(body)
        if first:
            headers["Content-Range"] = f"bytes {first}-{total - 1}/{total}"
        if fault == "stall":
            self.answer(206 if first else 200, headers, body[: len(body) // 2])
            server.wake.wait(20)
            return
        self.answer(206 if first else 200, headers, body[:fault] if isinstance(fault, int) else body)

    def answer(self, status, headers, body):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()
