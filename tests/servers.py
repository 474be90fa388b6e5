"""Real servers on this machine for tests of remote files: S3 by moto, HTTP by nginx, root:// by xrootd.

`tests.faulty_server` has one that fails as a test asks, and counts what it sends.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
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
READING_ALL = "+dac_override,+dac_read_search"  # capabilities with which a program need not own the files of a test


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
            process.terminate()  # a server that is killed leaves its workers behind
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
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


@contextmanager
def http_server(folder: Path, logs: Path) -> Iterator[str]:
    """Serve the files of a folder with nginx, and yield the address, such as ``http://127.0.0.1:8000``."""
    program = _find_program("nginx", "nginx-light")
    port = free_port()
    configuration = logs / "nginx.conf"
    places = "\n".join(
        f"{name}_temp_path {logs}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    configuration.write_text(f"""
        daemon off;
        {"user root;" if os.getuid() == 0 else ""}
        pid {logs}/nginx.pid;
        error_log stderr;
        events {{}}
        http {{
            access_log {logs}/requests.log;
            {places}
            server {{
                listen 127.0.0.1:{port};
                root {folder};
            }}
        }}
    """)
    with running([program, "-p", str(logs), "-e", "stderr", "-c", str(configuration)], port, logs / "nginx.log"):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def xrootd_server(folder: Path, logs: Path) -> Iterator[str]:
    """Serve a folder with xrootd, for reading and writing, and yield the URL of the folder."""
    program = _find_program("xrootd", "xrootd-server")
    pytest.importorskip("XRootD", reason="no XRootD client: pip install 'calostream[xrootd]'")
    words = []
    if os.getuid() == 0:  # xrootd refuses to run as root
        nobody = ("--reuid=65534", "--regid=65534", "--clear-groups")
        words = [
            _find_program("setpriv", "util-linux"),
            *nobody,
            f"--inh-caps={READING_ALL}",
            f"--ambient-caps={READING_ALL}",
        ]
    port = free_port()
    with tempfile.TemporaryDirectory(dir="/tmp") as admin:  # a short name, since xrootd makes sockets in it
        Path(admin).chmod(0o777)
        configuration = Path(admin) / "xrootd.cfg"
        configuration.write_text(
            f"xrd.port {port}\nxrd.protocol xrootd *\nall.export /\noss.localroot {folder}\n"
            f"all.adminpath {admin}\nall.pidpath {admin}\n"
        )
        with running([*words, program, "-c", str(configuration)], port, logs / "xrootd.log"):
            yield f"root://127.0.0.1:{port}/"


def _find_program(name: str, package: str) -> str:
    """Return the path of a program, or skip the test and say how to get it."""
    program = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        pytest.skip(f"no {name}: apt-get install {package}")
    return program
