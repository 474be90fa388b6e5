"""Source files at URLs: which ones a URL stands for, and stores that are equal to those of local files."""

import copy
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import zarr

from evaluate.images import open_images
from ingest.describe import describe_file
from ingest.file_classes import FileLabel, classes_of_files
from ingest.source_files import find_files
from store.datasets import ELECTRON_PHOTON
from store.errors import RemoteError, SourceError
from store.locations import locate
from store.remote.objects import open_objects
from store.sources import open_source
from store.sources.copies import here
from tests.examples import run_ingest, showers, write_hdf5
from tests.faulty_server import FaultyServer, faulty_server
from tests.servers import http_server, make_bucket, s3_environment, xrootd_server

TREE = (
    "jets/b.h5", "jets/a.hdf5", "jets/notes.txt", "jets/run10/x.parquet", "jets/run10/x.H5", "jets/run2/deep/y.hdf",
    "jets/run2/odd[1].h5", "jets/._a.hdf5", "jets/.DS_Store", "jets/.old/z.h5", "plain", "empty/notes.txt",
    "jets/run-2/z.h5", "jets/run2.h5",
)  # fmt: skip
PATTERNS = (
    "jets", "jets/**", "jets/*.h5", "jets/**/*.h5", "**/x.*", "/".join(["**"] * 30 + ["b.h5"]), "jets/run*", "*",
    "jets/**/run2/**/y.???", "jets/run[!2]*/*.parquet", "jets/*.txt", "jets/.old", "jets/.*/*", "plain",
    "jets/run2/odd[1].h5", "jets/*/x.H5",
)  # fmt: skip


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with source files of two runs; files of one class have the same names."""
    folder = tmp_path_factory.mktemp("sources")
    for run in (1, 2):
        for number, name in enumerate(("photons", "electrons")):
            path = folder / f"run{run}" / f"{name}.h5"
            path.parent.mkdir(exist_ok=True)
            write_hdf5(path, showers(50, 10 * run + number), number, chunks=(7, 32, 32, 2), compression="gzip")
    return folder


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory, sources: Path) -> zarr.Group:
    """Return the store of the sources, made of the files on this machine."""
    return convert(sources, output=tmp_path_factory.mktemp("local") / "local.zarr")


@pytest.fixture(scope="module")
def s3(s3_address: str, sources: Path) -> Iterator[FaultyServer]:
    """Count what the S3 server sends; its bucket ``data`` has the sources, ``tree`` empty files."""
    with faulty_server(s3_address) as server, s3_environment(server.address):
        make_bucket(s3_address, "data")
        make_bucket(s3_address, "tree")
        upload(sources, "s3://data")
        for name in TREE:
            open_objects(locate("s3://tree/top")).write(name, b"")
        yield server


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Use an empty cache."""
    monkeypatch.setenv("CALOSTREAM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def upload(folder: Path, url: str) -> None:
    objects = open_objects(locate(url))
    for file in folder.rglob("*.h5"):
        objects.write(file.relative_to(folder).as_posix(), file.read_bytes())


def convert(*words: object, output: Path) -> zarr.Group:
    outcome = run_ingest(*words, "--output", output, "--quiet")
    assert outcome.status == 0, outcome.err
    return zarr.open_group(output, mode="r")


def identity(store: zarr.Group) -> list[object]:
    return [store.attrs[name] for name in ("content_digest", "sources", "split_scheme")]


@pytest.mark.parametrize("given", PATTERNS)
def test_a_url_stands_for_the_same_files_as_a_path(s3, tmp_path, monkeypatch, given):
    for name in TREE:
        (tmp_path / "top" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "top" / name).touch()
    expected = [path.relative_to(tmp_path).as_posix() for path in find_files([tmp_path / "top" / given])]
    assert [str(url) for url in find_files([f"s3://tree/top/{given}"])] == [f"s3://tree/{name}" for name in expected]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("top/empty", r"s3://tree/top/empty: is a folder without source files \(.h5, .hdf5, .hdf, .parquet\)"),
        ("top/emp*", r"s3://tree/top/emp\*: matches only folders without source files .*"),
        ("top/*.root", r"s3://tree/top/\*.root: no file matches this pattern"),
        ("nothing", "s3://tree/nothing: no such object or folder"),
    ],
)
def test_a_url_of_nothing_is_refused(s3, given, message):
    with pytest.raises(SourceError, match=f"^{message}$"):
        find_files([f"s3://tree/{given}"])


def test_sources_in_a_bucket_are_sent_once_and_make_the_store_of_local_files(s3, sources, local, tmp_path):
    s3.sent.clear()
    remote = convert("s3://data/run*/*.h5", output=tmp_path / "remote.zarr")
    assert identity(remote) == identity(local)
    assert [source["name"] for source in remote.attrs["sources"]][:2] == ["run1/electrons.h5", "run1/photons.h5"]
    sizes = {f"/data/{path.relative_to(sources)}": path.stat().st_size for path in sources.rglob("*.h5")}
    assert {path: size for path, size in s3.sent.items() if path.endswith(".h5")} == sizes

    s3.sent.clear()
    outcome = run_ingest("verify", tmp_path / "remote.zarr", "s3://data")
    assert outcome.status == 0, outcome.err
    assert "200 images equal to their sources" in outcome.out
    assert not [path for path in s3.sent if path.endswith(".h5")]


def test_labels_of_files_at_urls(s3, sources, tmp_path):
    labels = ("--label", "photon=s3://data/**/photons.h5", "--label", "electron=s3://data/run[12]/electrons.h5")
    store = convert(*labels, output=tmp_path / "labels.zarr")
    assert [(source["name"], source["class"]) for source in store.attrs["sources"]] == [
        ("run1/photons.h5", "photon"),
        ("run2/photons.h5", "photon"),
        ("run1/electrons.h5", "electron"),
        ("run2/electrons.h5", "electron"),
    ]
    assert open_objects(locate("s3://data")).list().keys() == {source["name"] for source in store.attrs["sources"]}

    files = find_files(["s3://data/run1"])
    folders = [FileLabel.parse(f"{name}=s3://data/run1", ("photon", "electron")) for name in ("photon", "photon")]
    assert classes_of_files(files, folders) == (0, 0)
    other = FileLabel.parse("electron=s3://data/run1/photons.h5", ("photon", "electron"))
    with pytest.raises(SourceError, match=r"^s3://data/run1/photons.h5: --label .* both cover this source"):
        classes_of_files(files, [*folders, other])


def test_files_over_http(sources, local, tmp_path):
    (tmp_path / "logs").mkdir()
    names = [source["name"] for source in local.attrs["sources"]]
    with http_server(sources, tmp_path / "logs") as address:
        store = convert(*(f"{address}/{name}?signature=secret" for name in names), output=tmp_path / "http.zarr")
        assert identity(store) == identity(local)
        url = locate(f"{address}/{names[0]}?signature=secret")
        assert describe_file(url).startswith("# The data set in electrons.h5, 50 rows, ")
        images = open_images(url, ELECTRON_PHOTON)
        assert (str(images.location), images.rows) == (f"{address}/{names[0]}", 50)
        for pattern in (f"{address}/run*/photons.h5", f"{address}/run1/[pe]*.h5"):
            outcome = run_ingest(pattern, "--output", tmp_path / "no.zarr")
            assert outcome.status == 1
            assert outcome.err.endswith("servers over http list no files; name each one\n")
            assert outcome.err.count("\n") == 1
    assert "signature=secret" in (tmp_path / "logs" / "requests.log").read_text()
    written = [*(tmp_path / "http.zarr").rglob("*"), *(tmp_path / "cache").rglob("*")]
    assert not any("secret" in str(path) or (path.is_file() and b"secret" in path.read_bytes()) for path in written)


def test_files_of_an_xrootd_server(sources, local, tmp_path):
    (tmp_path / "served").mkdir()
    shutil.copytree(sources, tmp_path / "served" / "data")
    with xrootd_server(tmp_path / "served", tmp_path) as url:
        store = convert(f"{url}/data/run*/*.h5", output=tmp_path / "xrootd.zarr")
        assert identity(store) == identity(local)
        assert find_files([f"{url}/data"]) == find_files([f"{url}/data/**/*.h5"])
        with pytest.raises(SourceError, match="no such object or folder"):
            find_files([f"{url}/nothing"])
        objects = open_objects(locate(f"{url}/data"))
        objects.write("new/a.bin", b"first")
        objects.write("new/a.bin", b"second")
        assert (objects.read("new/a.bin"), objects.read("new/a.bin", 1, 4)) == (b"second", b"eco")
        assert objects.list("new") == {"new/a.bin": 6}
        with pytest.raises(RemoteError, match=r"new/a\.bin: has no bytes 6 to 9$"):
            objects.read("new/a.bin", 0, 10)
        objects.delete("new/a.bin")
        objects.delete("new/a.bin")
        assert objects.info("new/a.bin") is None
        with pytest.raises(FileNotFoundError):
            objects.read("new/a.bin")


def test_a_source_is_found_again_on_a_machine_with_another_cache(s3, sources, tmp_path, monkeypatch):
    url = locate("s3://data/run1/photons.h5")
    source = open_source(url, ELECTRON_PHOTON)
    assert here(source) is source
    monkeypatch.setenv("CALOSTREAM_CACHE", str(tmp_path / "other"))
    other = here(copy.deepcopy(source))
    assert other.path.is_relative_to(tmp_path / "other")
    assert np.array_equal(other.read(0, 50), source.read(0, 50))

    monkeypatch.setenv("CALOSTREAM_CACHE", str(tmp_path / "third"))
    changed = (sources / "run2" / "photons.h5").read_bytes()
    open_objects(url).write("", changed)
    try:
        with pytest.raises(SourceError, match=f"^{url}: was changed while it was read$"):
            here(source)
    finally:
        open_objects(url).write("", (sources / "run1" / "photons.h5").read_bytes())
