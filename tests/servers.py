"""Real servers on this machine for tests of remote files: S3 by moto."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

S3_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "tests",
    "AWS_SECRET_ACCESS_KEY": "tests",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
}


def free_port() -> int:
    """Return a port that no server listens on."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for_port(port: int, process: "subprocess.Popen[bytes]", seconds: float = 30) -> None:
    """Wait until a server answers at a port, or fail with its status if it has ended."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert process.poll() is None, f"the server ended with status {process.returncode}"
        with suppress(OSError), closing(socket.create_connection(("127.0.0.1", port), 1)):
            return
        time.sleep(0.05)
    raise TimeoutError(f"no server at port {port}")


@contextmanager
def running(words: list[str], port: int, log: Path) -> Iterator[None]:
    """Run a server during the ``with`` block; its output goes to a file."""
    with log.open("wb") as output, subprocess.Popen(words, stdout=output, stderr=subprocess.STDOUT) as process:
        try:
            wait_for_port(port, process)
            yield
        finally:
            process.kill()


@contextmanager
def s3_server(folder: Path) -> Iterator[str]:
    """Run an S3 server and yield its address, such as ``http://127.0.0.1:5000``; see `make_bucket`."""
    pytest.importorskip("moto.server", reason="no S3 server: pip install 'calostream[test]'")
    port = free_port()
    with running([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], port, folder / "moto.log"):
        yield f"http://127.0.0.1:{port}"


def make_bucket(address: str, bucket: str) -> None:
    """Make a bucket, whose objects anybody may read and write."""
    urllib.request.urlopen(urllib.request.Request(f"{address}/{bucket}", method="PUT"), timeout=10).close()


@contextmanager
def s3_environment(address: str) -> Iterator[None]:
    """Set the variables with which programs reach an S3 server, for this process and those that it starts."""
    before = dict(os.environ)
    os.environ.update(S3_ENVIRONMENT, AWS_ENDPOINT_URL=address)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
