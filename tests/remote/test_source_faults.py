"""Sources at URLs of servers that fail, and what is said of them: one line that names the file."""

import datetime as dt
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import h5py
import numpy as np
import pytest

from ingest.source_files import find_files
from store.errors import RemoteError, SourceError
from store.locations import locate
from store.remote import credentials, obstore, xrootd
from store.sources.copies import fetch_all
from tests.examples import Outcome, run_ingest, showers, write_hdf5
from tests.faulty_server import FaultyServer, faulty_server
from tests.servers import free_port, make_bucket, s3_environment

NAMES = ("photons.h5", "electrons.h5")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of two source files."""
    folder = tmp_path_factory.mktemp("sources")
    for number, name in enumerate(NAMES):
        write_hdf5(folder / name, showers(50, number), number)
    return folder


@pytest.fixture
def server(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyServer]:
    """Serve the files over HTTP, with an empty cache, and with little patience."""
    monkeypatch.setenv("CALOSTREAM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("CALOSTREAM_CACHE_SIZE", "1GB")  # which --cache-size overrides
    monkeypatch.setattr(obstore, "STALLED", dt.timedelta(seconds=0.3))
    monkeypatch.setattr(obstore, "REPEATED", 2)
    with faulty_server(folder) as server:
        yield server


def ingest(server: FaultyServer, output: Path, *words: object) -> Outcome:
    return run_ingest(*(f"{server.address}/{name}" for name in NAMES), "--output", output, "--quiet", *words)


def refused(outcome: Outcome, output: Path) -> str:
    """Return the one line that says why nothing was made."""
    assert outcome.status == 1, outcome.err
    assert [path.name for path in output.parent.iterdir() if "zarr" in path.name] == []
    (line,) = outcome.err.splitlines()
    return line


def test_a_server_that_fails_for_a_while_is_asked_again(server, folder):
    server.faults.failures, server.faults.cut = 2, 1
    copies = fetch_all([locate(f"{server.address}/{name}") for name in NAMES])
    assert [copy.read_bytes() for copy in copies] == [(folder / name).read_bytes() for name in NAMES]
    assert (server.faults.failures, server.faults.cut) == (0, 0)


@pytest.mark.parametrize(
    ("faults", "reason"),
    [
        ({"failures": -1}, "the server answers 500 Internal Server Error"),
        ({"failures": -1, "status": 503}, "the server answers 503 Service Unavailable"),
        ({"failures": -1, "status": 403}, "the server denies access"),
        ({"hang": True}, "the server does not answer"),
        ({"cut": -1}, "the connection ended before all bytes were there"),
    ],
)
def test_a_server_that_keeps_failing(server, folder, tmp_path, faults, reason):
    for name, value in {**faults, "only": "electrons"}.items():
        setattr(server.faults, name, value)
    line = refused(ingest(server, tmp_path / "out.zarr"), tmp_path / "out.zarr")
    assert line == f"error: {server.address}/electrons.h5: cannot be read ({reason})"


def test_what_was_fetched_is_not_fetched_again(server, folder):
    urls = [locate(f"{server.address}/{name}") for name in NAMES]
    server.faults.only, server.faults.cut = "electrons", -1
    with pytest.raises(RemoteError, match=r"/electrons\.h5: cannot be read"):
        fetch_all(urls)
    server.faults.cut = 0
    server.sent.clear()
    fetch_all(urls)
    assert dict(server.sent) == {"/electrons.h5": (folder / "electrons.h5").stat().st_size}


def test_a_file_that_changes_while_it_is_fetched(server, folder, tmp_path):
    changing = tmp_path / "photons.h5"
    server.source = tmp_path

    def write(value: int) -> None:
        changing.write_bytes(bytes([value]) * 100)

    write(0)
    server.before = lambda method, path: write(len(server.requests)) if method == "GET" else None
    url = locate(f"{server.address}/photons.h5")
    with pytest.raises(RemoteError, match=f"^{url}: was changed while it was read"):
        fetch_all([url])


def test_a_cache_that_is_too_small_is_noticed_before_anything_is_fetched(server, folder, tmp_path):
    sizes = sum((folder / name).stat().st_size for name in NAMES)
    line = refused(ingest(server, tmp_path / "out.zarr", "--cache-size", sizes), tmp_path / "out.zarr")
    assert re.fullmatch(
        rf"error: the cache .*cache has room for .* bytes, and the sources at URLs have {sizes:,} \(2 in number\); "
        "give --cache-size 1GB, or fewer sources",
        line,
    )
    assert {method for method, _ in server.requests} == {"HEAD"}


def test_files_that_need_others_are_refused(server, tmp_path):
    server.source = tmp_path
    write_hdf5(tmp_path / "whole.h5", showers(20), 0)
    layout = h5py.VirtualLayout((20, 32, 32, 2), np.float32)
    layout[:] = h5py.VirtualSource(tmp_path / "whole.h5", "X", (20, 32, 32, 2))
    for name in ("linked.h5", "virtual.h5"):
        with h5py.File(tmp_path / name, "w") as file:
            file["y"] = np.zeros(20, np.float32)
            if name == "linked.h5":
                file["X"] = h5py.ExternalLink("whole.h5", "X")
            else:
                file.create_virtual_dataset("X", layout)
        url = f"{server.address}/{name}"
        line = refused(run_ingest(url, "--output", tmp_path / "o.zarr", "--quiet"), tmp_path / "o.zarr")
        assert line == (
            f"error: {url}: X is stored in other files, which are not fetched with this one; "
            "copy them all to this machine, and give their path"
        )


def test_servers_that_are_not_there(tmp_path, monkeypatch):
    monkeypatch.setenv("CALOSTREAM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(obstore, "REPEATED", 0)
    url = locate(f"http://127.0.0.1:{free_port()}/a.h5")
    with pytest.raises(RemoteError, match=f"^{url}: cannot be read \\(connection refused\\)$"):
        fetch_all([url])
    with pytest.raises(RemoteError, match=r"^http://no-such-host.invalid/a.h5: cannot be read \(no such host\)$"):
        fetch_all([locate("http://no-such-host.invalid/a.h5")])


def test_buckets_that_are_not_there_and_credentials_that_are_missing(s3_address, tmp_path, monkeypatch):
    monkeypatch.setenv("CALOSTREAM_CACHE", str(tmp_path / "cache"))
    with s3_environment(s3_address):
        make_bucket(s3_address, "one-bucket")
        with pytest.raises(RemoteError, match=r"^s3://other-bucket: cannot be listed \(there is no such bucket\)$"):
            find_files(["s3://other-bucket/*.h5"])
        with pytest.raises(SourceError, match=r"^s3://one-bucket/a.h5: no such file$"):
            fetch_all([locate("s3://one-bucket/a.h5")])
    for name in credentials.VARIABLES["s3"]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(credentials, "METADATA", ("127.0.0.1", free_port()))
    outcome = run_ingest("s3://one-bucket/a.h5", "--output", tmp_path / "out.zarr")
    assert refused(outcome, tmp_path / "out.zarr") == (
        "error: s3://one-bucket: no credentials in the environment, such as AWS_ACCESS_KEY_ID; "
        "public data needs AWS_SKIP_SIGNATURE=true"
    )


@pytest.mark.parametrize("endpoint", ["", "localhost:9000"])
def test_an_endpoint_that_is_no_url(endpoint, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_SKIP_SIGNATURE", "true")
    outcome = run_ingest("s3://one-bucket/a.h5", "--output", tmp_path / "out.zarr")
    assert refused(outcome, tmp_path / "out.zarr") == (
        f"error: s3://one-bucket: AWS_ENDPOINT_URL={endpoint!r} is not the URL of a server, such as https://host; "
        "unset it"
    )


def test_an_xrootd_server_that_does_not_answer(tmp_path, monkeypatch):
    pytest.importorskip("XRootD", reason="no XRootD client: pip install 'calostream[xrootd]'")
    monkeypatch.setenv("CALOSTREAM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(xrootd, "PATIENCE", 1)
    with closing(socket.socket()) as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"root://127.0.0.1:{silent.getsockname()[1]}//data/a.h5"
        with pytest.raises(RemoteError, match=f"^{url}: cannot be read \\(the server does not answer\\)$"):
            fetch_all([locate(url)])


def test_ctrl_c_ends_the_wait_for_a_server(folder, tmp_path):
    with faulty_server(folder) as server:
        server.before = lambda method, path: setattr(server.faults, "hang", method == "GET")
        urls = [f"{server.address}/{name}" for name in NAMES]
        program = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "ingest.cli",
                *urls,
                "--output",
                tmp_path / "out.zarr",
                "--cache",
                tmp_path / "cache",
            ],
            stderr=subprocess.PIPE,
            text=True,
        )
        while ("GET", "/photons.h5") not in server.requests:
            assert program.poll() is None
            time.sleep(0.05)
        program.send_signal(signal.SIGINT)
        _, errors = program.communicate(timeout=60)  # seconds; the requests would go on for longer
    assert program.returncode == 1
    assert errors.splitlines()[-1] == "interrupted"
    assert not [path for path in tmp_path.iterdir() if "zarr" in path.name]
