"""Stores at URLs: the same as in a folder, fetched as needed, checked, within the bound of the cache."""

import pickle  # noqa: TID251  of this test's own objects
import re
import shutil
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from store.errors import CorruptStoreError, RemoteError, StoreError
from store.locations import Url, locate
from store.opening import open_dataset, open_store
from store.readers.sample_reader import open_reader
from store.remote import ranges
from store.remote.objects import open_objects
from store.stream import BatchStream
from tests.examples import SHAPE, run_ingest, tell_tale_images, write_store
from tests.faulty_server import Faults, faulty_server
from tests.remote.conftest import upload
from tests.servers import free_port, http_server, running, s3_environment

SHARDS = 8


def cached_shards(cache: Path) -> set[str]:
    """Return the names of the shards that have copies."""
    return {path.name for path in cache.glob("stores/*/image/c.*")}


def read(url: Url, samples: list[int]) -> np.ndarray:
    """Return the first value of some images, which is the position of the image plus 1."""
    store = open_store(url)
    out = np.empty((len(samples), *SHAPE), np.float32)
    open_reader(store.image, store.shards).read(np.array(samples), out)
    return out[:, 0, 0, 0]


def test_opening_fetches_everything_but_shards(remote_store: Url, cache: Path, local_store: Path) -> None:
    store, local = open_store(remote_store), open_store(local_store)
    assert cached_shards(cache) == set()
    assert store.path == remote_store
    np.testing.assert_array_equal(store.column("label"), local.column("label"))
    assert (store.image_bytes, store.stored_bytes) == (
        sum(path.stat().st_size for path in local_store.glob("image/c.*")),
        sum(path.stat().st_size for path in local_store.rglob("*") if path.is_file()),
    )


def test_reading_fetches_the_needed_shards(remote_store: Url, cache: Path) -> None:
    assert read(remote_store, [200, 3]).tolist() == [201, 4]
    assert cached_shards(cache) == {"c.0.0.0.0", "c.3.0.0.0"}


@pytest.mark.parametrize("shuffle", ["none", "window", "full"])
def test_a_stream_is_that_of_the_local_store(remote_store: Url, cache: Path, local_store: Path, shuffle: str) -> None:
    streams = [BatchStream(path, split="train", batch_size=32, shuffle=shuffle) for path in (remote_store, local_store)]
    for remote, local in zip(*streams, strict=True):
        np.testing.assert_array_equal(remote.image, local.image)
        np.testing.assert_array_equal(remote.label, local.label)


def test_xarray_reads_missing_shards_from_the_server(own_store: Url, cache: Path) -> None:
    dataset = open_dataset(own_store, "test")
    np.testing.assert_array_equal(dataset.image.to_numpy(), tell_tale_images(500)[403:])
    assert cached_shards(cache) == {"c.6.0.0.0", "c.7.0.0.0"}
    shutil.rmtree(next(cache.glob("stores/*")))  # as on another machine
    again = pickle.loads(pickle.dumps(dataset.image.data))
    np.testing.assert_array_equal(np.asarray(again), tell_tale_images(500)[403:])


def test_shards_travel_to_other_processes(own_store: Url, cache: Path) -> None:
    shards = pickle.loads(pickle.dumps(open_store(own_store).shards))
    assert shards.file(2).stat().st_size > 0
    assert (shards.name(2), shards.count) == (own_store / "image/c.2.0.0.0", SHARDS)


def test_expected_shards_are_fetched(remote_store: Url, cache: Path) -> None:
    shards = open_store(remote_store).shards
    shards.expect([5, 1, 4])
    for shard in (5, 1, 4):
        assert shards.file(shard).exists()
    assert sorted(shards.absent(range(SHARDS))) == [0, 2, 3, 6, 7]


def test_what_fails_in_the_background_is_raised_for_its_shard(own_store: Url, cache: Path) -> None:
    shards = open_store(own_store).shards
    open_objects(own_store).delete("image/c.5.0.0.0")
    shards.expect([5, 1])
    assert shards.file(1).exists()
    with pytest.raises(CorruptStoreError, match=r"c.5.0.0.0 of image/SHA256SUMS missing"):
        shards.file(5)


@pytest.mark.parametrize(
    "change",
    [lambda content: content[:-1], lambda content: content[::-1], lambda content: b""],
    ids=["cut off", "altered", "empty"],
)
def test_an_altered_shard_is_refused(own_store: Url, cache: Path, change) -> None:
    objects = open_objects(own_store)
    objects.write("image/c.2.0.0.0", change(objects.read("image/c.2.0.0.0")))
    with pytest.raises((CorruptStoreError, RemoteError), match=re.escape(f"{own_store}/image/c.2.0.0.0: ")):
        read(own_store, [130])
    assert cached_shards(cache) == set()
    assert not list((cache / "partial").iterdir())


def test_an_altered_column_is_refused(own_store: Url, cache: Path) -> None:
    objects = open_objects(own_store)
    name = next(name for name in objects.list("label") if name.endswith("/0"))
    objects.write(name, objects.read(name)[::-1])
    with pytest.raises(CorruptStoreError, match=re.escape(f"{own_store}/{name}") + ": has another sha256"):
        open_store(own_store)


def test_a_missing_shard_is_noticed_at_opening(own_store: Url, cache: Path) -> None:
    open_objects(own_store).delete("image/c.2.0.0.0")
    with pytest.raises(CorruptStoreError, match=r"incomplete, image/c.2.0.0.0 of image/SHA256SUMS missing"):
        open_store(own_store)


@pytest.mark.parametrize("damage", [b"", b"altered"])
def test_a_broken_copy_is_fetched_again(remote_store: Url, cache: Path, damage: bytes) -> None:
    read(remote_store, [130])
    copy = next(cache.glob("stores/*/image/c.2.*"))
    content = copy.read_bytes()
    copy.write_bytes(damage or content[:-1])
    assert read(remote_store, [130]).tolist() == [131]
    assert copy.read_bytes() == content


def test_a_replaced_store_is_another_one(own_store: Url, cache: Path, tmp_path: Path) -> None:
    read(own_store, [0])
    upload(write_store(tmp_path / "other.zarr", seed=1), own_store)
    assert open_store(own_store).attributes["seed"] == 1
    assert read(own_store, [0]).tolist() == [1]
    assert len(list(cache.glob("stores/*"))) == 2


def test_the_bound_is_kept_and_everything_is_read(
    remote_store: Url, cache: Path, local_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = {path: path.stat().st_size for path in local_store.rglob("*") if path.is_file()}
    shards = [size for path, size in sizes.items() if path.name.startswith("c.") and path.parent.name == "image"]
    bound = sum(sizes.values()) - sum(shards) + 3 * max(shards)
    monkeypatch.setenv("CALOSTREAM_CACHE_SIZE", str(bound))
    for batch in BatchStream(remote_store, split="train", batch_size=32, shuffle="window"):
        np.testing.assert_array_equal(batch.image[:, 0, 0, 0], batch.sample + 1)
        # a file that is renamed while the folder is listed counts twice
        assert min(bytes_in(cache) for _ in range(5)) <= bound + 100
    np.testing.assert_array_equal(open_dataset(remote_store).image[:, 0, 0, 0].to_numpy(), np.arange(1, 501))
    assert 1 <= len(cached_shards(cache)) <= 3


def bytes_in(folder: Path) -> int:
    """Return the size of all files below a folder; some may be deleted meanwhile."""
    size = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):
            size += path.stat().st_size if path.is_file() else 0
    return size


def test_what_is_larger_than_the_bound_is_refused(
    remote_store: Url, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALOSTREAM_CACHE_SIZE", "1KB")
    with pytest.raises(RemoteError, match=r"do not fit into the cache .* of 1000 bytes; .*--cache-size"):
        open_store(remote_store)


def test_processes_share_a_cache(cache: Path, local_store: Path, tmp_path: Path) -> None:
    with http_server(local_store.parent, tmp_path) as address:
        code = f"""
from store.opening import open_store
shards = open_store("{address}/x.zarr").shards
shards.expect(range(shards.count))
print(sum(shards.file(shard).stat().st_size for shard in range(shards.count)))
"""
        processes = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) for _ in range(2)]
        sizes = [int(process.communicate(timeout=60)[0]) for process in processes]
    assert sizes == [sum(path.stat().st_size for path in local_store.glob("image/c.*"))] * 2
    requests = re.findall(r"GET /x.zarr/(image/c\S+|label/c\S+)", (tmp_path / "requests.log").read_text())
    assert sorted(requests) == [*(f"image/c.{shard}.0.0.0" for shard in range(SHARDS)), "label/c/0"]
    assert not list((cache / "partial").iterdir())


def test_what_is_there_instead_of_a_store(remote_store: Url, cache: Path) -> None:
    objects = open_objects(Url("s3://showers/others"))
    objects.write("a.h5", b"\x89HDF\r\n\x1a\n")
    objects.write("folder/x", b"")
    objects.write("group.zarr/zarr.json", b'{"zarr_format": 3, "node_type": "group", "attributes": {}}')
    for name, message in (
        ("a.h5", "is an HDF5 file, not a store; `ingest s3://showers/others/a.h5 --output"),
        ("folder", "is a folder without a store"),
        ("group.zarr", "is a Zarr group, but not a calostream store"),
        ("none.zarr", "no store here; `ingest --output s3://showers/others/none.zarr` makes one"),
    ):
        with pytest.raises(StoreError, match=message):
            open_store(objects.url / name)
    with pytest.raises(RemoteError, match=r"^s3://nothing-here/x.zarr.*no such bucket"):
        open_store("s3://nothing-here/x.zarr")


def test_the_cache_cannot_be_written(remote_store: Url, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALOSTREAM_CACHE", "/proc/nowhere")
    with pytest.raises(RemoteError, match=r"the cache /proc/nowhere cannot be written .*--cache"):
        open_store(remote_store)


@pytest.mark.parametrize("words", [("info",), ("info", "--json"), ("verify",)])
def test_ingest_takes_the_url(remote_store: Url, cache: Path, words: tuple[str, ...]) -> None:
    command, *options = words
    outcome = run_ingest(command, remote_store, *options)
    assert outcome.status == 0, outcome.err
    assert str(remote_store) in outcome.out
    assert str(cache) not in outcome.out


def test_verify_reads_every_shard(own_store: Url, cache: Path) -> None:
    objects = open_objects(own_store)
    objects.write("image/c.7.0.0.0", objects.read("image/c.6.0.0.0"))
    outcome = run_ingest("verify", own_store)
    assert outcome.status == 1
    assert "image/c.7.0.0.0" in outcome.err
    assert str(cache) not in outcome.err


def test_plain_xarray_reads_the_same_store(remote_store: Url, cache: Path) -> None:
    pytest.importorskip("s3fs", reason="pip install 'calostream[test]'")
    with xr.open_zarr(str(remote_store), consolidated=True) as dataset:
        np.testing.assert_array_equal(dataset.image[::100, 0, 0, 0].to_numpy(), np.arange(1, 501, 100))


def test_a_store_over_http(cache: Path, local_store: Path, tmp_path: Path) -> None:
    with http_server(local_store.parent, tmp_path) as address:
        url = locate(f"{address}/x.zarr")
        assert read(url, [200, 3]).tolist() == [201, 4]
        assert cached_shards(cache) == {"c.0.0.0.0", "c.3.0.0.0"}
        with pytest.raises(StoreError, match="no store here"):
            open_store(f"{address}/y.zarr")
        pytest.importorskip("aiohttp")
        with xr.open_zarr(str(url), consolidated=True) as dataset:
            np.testing.assert_array_equal(dataset.image[::100, 0, 0, 0].to_numpy(), np.arange(1, 501, 100))


def test_a_server_without_ranges(
    cache: Path, local_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranges, "RANGE", 4000)
    port = free_port()
    words = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "-d", str(local_store.parent)]
    with running(words, port, tmp_path / "server.log"):
        assert read(locate(f"http://127.0.0.1:{port}/x.zarr"), [200, 3]).tolist() == [201, 4]


@pytest.mark.parametrize("fault", [{"failures": 2}, {"failures": 1, "status": 503}, {"cut": 1}], ids=str)
def test_requests_that_fail_are_repeated(cache: Path, local_store: Path, fault: dict[str, int]) -> None:
    with faulty_server(local_store.parent) as server:
        server.faults = Faults(only="c.3.0.0.0|label/c/0", **fault)
        assert read(locate(f"{server.address}/x.zarr"), [200, 3]).tolist() == [201, 4]
        assert (server.faults.failures, server.faults.cut) == (0, 0)


def test_opening_asks_for_sizes_in_one_list_and_once(cache: Path, local_store: Path, s3_address: str) -> None:
    with faulty_server(s3_address) as server, s3_environment(server.address):
        url = upload(local_store, Url("s3://showers/counted/x.zarr"))
        server.requests.clear()
        open_store(url)
        others = [path for path in local_store.rglob("*") if path.is_file() and not path.name.startswith("c.")]
        assert Counter(method for method, _ in server.requests) == {"GET": len(others) + 1}
        server.requests.clear()
        assert run_ingest("info", url).status == 0
        assert len(server.requests) == 3, "metadata, record of digests, list"


def test_a_store_without_statistics_at_a_url(cache: Path, tmp_path: Path) -> None:
    url = upload(write_store(tmp_path / "x.zarr"), Url("s3://showers/bare/x.zarr"))
    outcome = run_ingest("info", url)
    assert outcome.err == (
        f"error: {url}: no statistics; copy the store to a folder, run `ingest statistics FOLDER` there, and copy it "
        "back\n"
    )
