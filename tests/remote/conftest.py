"""A store of 500 tell-tale images in eight shards, on an S3 server, and a cache of its own for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from store.locations import Url
from store.remote.objects import open_objects
from tests.examples import run_ingest, write_store
from tests.servers import make_bucket, s3_environment, s3_server


@pytest.fixture(scope="session")
def s3_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run an S3 server with a bucket ``showers``."""
    with s3_server(tmp_path_factory.mktemp("s3")) as address:
        make_bucket(address, "showers")
        yield address


@pytest.fixture(scope="session")
def local_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store in a folder."""
    store = write_store(tmp_path_factory.mktemp("local") / "x.zarr")
    assert run_ingest("statistics", store).status == 0
    return store


@pytest.fixture
def cache(tmp_path: Path, s3_address: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Make an empty cache for the test, which reaches the S3 server, and return its folder."""
    with s3_environment(s3_address):
        monkeypatch.setenv("CALOSTREAM_CACHE", str(tmp_path / "cache"))
        yield tmp_path / "cache"


@pytest.fixture(scope="session")
def uploaded(s3_address: str, local_store: Path) -> Url:
    """Upload the store once, and return its URL."""
    with s3_environment(s3_address):
        return upload(local_store, Url("s3://showers/shared/x.zarr"))


@pytest.fixture
def remote_store(cache: Path, uploaded: Url) -> Url:
    """Return the URL of a store that no test changes; its cache is empty."""
    return uploaded


@pytest.fixture
def own_store(cache: Path, local_store: Path, request: pytest.FixtureRequest) -> Url:
    """Upload the store for one test, which changes it or needs a URL that this process has not met yet."""
    return upload(local_store, Url(f"s3://showers/{request.node.name}/x.zarr"))


def upload(folder: Path, url: Url) -> Url:
    """Write all files of a folder to objects below a URL, and return the URL."""
    objects = open_objects(url)
    for path in folder.rglob("*"):
        if path.is_file():
            objects.write(path.relative_to(folder).as_posix(), path.read_bytes())
    return url
