"""A store that is made at a URL: the same bytes as in a folder, visible at once, resumed, or nothing at all."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import pytest

import store.layout
from ingest import external_shuffle
from ingest.convert import Ingest, ingest
from ingest.executors import ThreadExecutor
from ingest.split import Split
from store.datasets import ELECTRON_PHOTON
from store.digests import DIGESTS_FILE
from store.errors import SourceError
from store.locations import Url
from store.remote.objects import open_objects
from store.remote.obstore import ObstoreObjects
from tests.examples import Outcome, run_ingest, showers, write_hdf5
from tests.servers import xrootd_server

ROOT = "zarr.json"
DIFFERENT = (ROOT, DIGESTS_FILE)  # the command line is in one, and its digest in the other
SIZES = {"STRETCH_BYTES": 90 * 32 * 32 * 2 * 4, "SHARD_BYTES": 20 << 10, "CHUNK_BYTES": 1 << 16}
KILLED = """
import os, re, signal, sys
import store.layout
from ingest import external_shuffle
from ingest.cli import app
from store import console
from store.remote.obstore import ObstoreObjects

pattern, after, sizes, *words = sys.argv[1:]
sizes = dict(pair.split("=") for pair in sizes.split(","))
external_shuffle.STRETCH_BYTES = int(sizes["STRETCH_BYTES"])
store.layout.SHARD_BYTES, store.layout.CHUNK_BYTES = int(sizes["SHARD_BYTES"]), int(sizes["CHUNK_BYTES"])
write = ObstoreObjects.write

def watch(self, name, content):
    found = re.search(pattern, str(self.url / name))
    if after and found:
        write(self, name, content)
    if found:
        os.kill(os.getpid(), signal.SIGKILL)
    write(self, name, content)

ObstoreObjects.write = watch
console.run(app, "convert", words)
"""


@pytest.fixture(autouse=True)
def small_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make stretches and shards so small that a few images have several."""
    make_stages_small(monkeypatch)


def make_stages_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(external_shuffle, "STRETCH_BYTES", SIZES["STRETCH_BYTES"])
    monkeypatch.setattr(store.layout, "SHARD_BYTES", SIZES["SHARD_BYTES"])
    monkeypatch.setattr(store.layout, "CHUNK_BYTES", SIZES["CHUNK_BYTES"])


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return two source files of 150 images each."""
    folder = tmp_path_factory.mktemp("sources")
    return [
        write_hdf5(folder / f"{label}.hdf5", showers(150, label), label, chunks=(50, 32, 32, 2)) for label in (0, 1)
    ]


@pytest.fixture(scope="module")
def expected(sources: list[Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return the files of the same store in a folder."""
    path = tmp_path_factory.mktemp("expected") / "x.zarr"
    with pytest.MonkeyPatch.context() as patch:
        make_stages_small(patch)
        outcome = run_ingest(*sources, "--output", path)
    assert outcome.status == 0, outcome.err
    return {file.relative_to(path).as_posix(): file.read_bytes() for file in path.rglob("*") if file.is_file()}


@dataclass(frozen=True, kw_only=True)
class Output:
    """A store that is made at a URL, and everything around it."""

    url: Url
    cache: Path
    expected: dict[str, bytes]

    @property
    def objects(self) -> dict[str, bytes]:
        """Everything in the folder of the store, by name."""
        parent = open_objects(self.url.parent)
        return {name: parent.read(name) for name in parent.list()}

    def check(self, outcome: Outcome | None = None) -> None:
        """Assert that the store is the expected one, and that nothing else is left."""
        assert outcome is None or outcome.status == 0, outcome.err
        found = {name.removeprefix(f"{self.url.name}/"): content for name, content in self.objects.items()}
        assert set(found) == set(self.expected)
        assert [name for name in found if found[name] != self.expected[name]] in ([], [*DIFFERENT], [*DIFFERENT[::-1]])
        assert self.digest(found[ROOT]) == self.digest(self.expected[ROOT])
        assert not any((self.cache / "ingest").iterdir())

    @staticmethod
    def digest(root: bytes) -> str:
        digest: str = json.loads(root)["attributes"]["content_digest"]
        return digest


@pytest.fixture
def output(cache: Path, expected: dict[str, bytes], request: pytest.FixtureRequest) -> Output:
    """Return an output at a URL in a folder of its own."""
    name = request.node.name.replace("[", "-").replace("]", "")
    return Output(url=Url(f"s3://showers/{name}/x.zarr"), cache=cache, expected=expected)


@dataclass(frozen=True, kw_only=True)
class Apart(ThreadExecutor):
    """Threads that pretend not to share the disk, so that the spool is at the URL."""

    shares_disk = False


def make(output: Output, sources: Sequence[Path]) -> None:
    """Make the store with a spool at its URL."""
    split = Split.parse("0.7,0.1,0.2")
    ingest(Ingest(sources=tuple(sources), spec=ELECTRON_PHOTON, output=output.url, split=split), Apart(count=2))


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the URLs of all objects that are written from now on."""
    urls: list[str] = []
    write = ObstoreObjects.write

    def watch(self: ObstoreObjects, name: str, content: bytes | memoryview) -> None:
        urls.append(str(self.url / name))
        write(self, name, content)

    monkeypatch.setattr(ObstoreObjects, "write", watch)
    return urls


def refused(outcome: Outcome, message: str) -> None:
    assert outcome.status in (1, 2)
    (line,) = [line for line in outcome.err.splitlines() if line.startswith("error: ")]
    assert message in line


def test_a_store_at_a_url_has_the_same_bytes_as_in_a_folder(
    output: Output, sources: list[Path], written: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    output.check(run_ingest(*sources, "--output", output.url))
    assert written[-1] == str(output.url / ROOT)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache"]
    refused(run_ingest(*sources, "--output", output.url), f"{output.url}: already exists; --overwrite replaces it")
    refused(run_ingest(*sources, "--output", output.url / "y"), f"lies inside the Zarr store {output.url}")
    outcome = run_ingest(*sources, "--output", output.url, "--overwrite", "--seed", 1)
    assert outcome.status == 0, outcome.err
    root = output.objects[f"x.zarr/{ROOT}"]
    assert json.loads(root)["attributes"]["seed"] == 1
    names = [name for name in output.objects if name.startswith("x.zarr/image/c.")]
    assert len(names) == root.count(b"x.zarr/image/c.") or len(names) > 3


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("s3://showers/refused", "s3://showers/refused: exists and is not a store"),
        ("s3://showers/refused/note.txt", "s3://showers/refused/note.txt: exists and is not a store"),
        ("s3://showers", "is a bucket or server; add the name of the store, as in s3://showers/NAME.zarr"),
        ("s3://no-such-bucket/x.zarr", "there is no such bucket"),
        ("https://localhost/x.zarr", "nothing can be written over https"),
        ("hdfs://showers/x.zarr", "hdfs://showers/x.zarr: unknown kind of URL; known: paths of this machine"),
    ],
)
def test_what_cannot_be_an_output_is_refused_before_any_work(
    cache: Path, sources: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("ingest.convert.open_sources", lambda *_: pytest.fail("a source was opened"))
    open_objects(Url("s3://showers/refused")).write("note.txt", b"not ours")
    refused(run_ingest(*sources, "--output", place), message)
    assert open_objects(Url("s3://showers/refused")).list() == {"note.txt": 8}
    assert [path.name for path in tmp_path.iterdir()] in ([], ["cache"])


@pytest.mark.parametrize(
    ("end", "after"),
    [
        (r"/image/c\.5\.", False),
        (r"x\.zarr/zarr\.json", True),
        pytest.param(r"x\.zarr/zarr\.json", False, marks=pytest.mark.slow),
        pytest.param(r"/label/c/0", True, marks=pytest.mark.slow),
        pytest.param(r"ingest\.json", True, marks=pytest.mark.slow),
    ],
)
def test_a_killed_ingest_is_resumed(
    output: Output, sources: list[Path], written: list[str], end: str, after: bool
) -> None:
    sizes = ",".join(f"{name}={size}" for name, size in SIZES.items())
    words = [*map(str, sources), "--output", str(output.url)]
    program = [sys.executable, "-c", KILLED, end, "1" if after else "", sizes, *words]
    killed = subprocess.run(program, cwd=Path(__file__).parents[2], capture_output=True)
    assert killed.returncode == -9, killed.stderr.decode()
    before = output.objects
    complete = f"x.zarr/{ROOT}" in before
    outcome = run_ingest(*words)
    if complete:
        refused(outcome, "already exists")
        output.check()
        return
    output.check(outcome)
    again = {url.removeprefix(f"{output.url.parent}/") for url in written}
    assert not {name for name in before if "/image/c." in name} & again
    assert "ingest.json" not in again


def test_with_its_spool_at_a_url_it_is_the_same_and_is_resumed(
    output: Output, sources: list[Path], written: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error", "table")

    with monkeypatch.context() as patch:
        patch.setattr("ingest.completion.write_tables", fail)
        with pytest.raises(OSError, match="table"):
            make(output, sources)
    parent, names = open_objects(output.url.parent), list(output.objects)
    assert f"x.zarr/{ROOT}" not in names
    runs = [name for name in names if name.endswith(".run")]
    shards = [name for name in names if "/image/c." in name]
    assert len(runs) > 2
    assert len(shards) > 3
    parent.write(runs[0], parent.read(runs[0])[:-1] + b"x")
    parent.write(shards[1], b"another shard")
    parent.delete(shards[2])
    parent.write(f"{output.url.name}/image/c.99.0.0.0", b"a shard too many")
    written.clear()
    make(output, sources)
    output.check()
    again = [url.removeprefix(f"{output.url.parent}/") for url in written]
    assert sorted(name for name in again if "/image/c." in name) == sorted(shards[1:3])
    assert len([name for name in again if name.endswith(".run")]) == 1


@pytest.mark.parametrize("apart", [False, True])
def test_an_abandoned_ingest_leaves_nothing(output: Output, sources: list[Path], tmp_path: Path, apart: bool) -> None:
    images = showers(150, 1)
    images[140, 3, 3, 0] = float("nan")
    wrong = write_hdf5(tmp_path / "wrong.hdf5", images, 1, chunks=(50, 32, 32, 2))
    if apart:
        with pytest.raises(SourceError, match="not finite"):
            make(output, [sources[0], wrong])
    else:
        refused(run_ingest(sources[0], wrong, "--output", output.url), f"{wrong}")
    assert output.objects == {}
    assert not any((output.cache / "ingest").iterdir())


def test_a_store_that_would_be_replaced_stays_if_a_source_breaks_a_rule(
    output: Output, sources: list[Path], tmp_path: Path
) -> None:
    assert run_ingest(*sources, "--output", output.url).status == 0
    before = output.objects
    with h5py.File(tmp_path / "wrong.hdf5", "w") as file:
        images = showers(150, 1)
        images[140, 3, 3, 0] = float("inf")
        file["X"], file["y"] = images, [1.0] * 150
    refused(run_ingest(sources[0], tmp_path / "wrong.hdf5", "--output", output.url, "--overwrite"), "wrong.hdf5")
    assert output.objects == before


def test_an_object_that_is_not_what_was_written_is_noticed_and_written_anew(
    output: Output, sources: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    write = ObstoreObjects.write

    def damage(self: ObstoreObjects, name: str, content: bytes | memoryview) -> None:
        write(self, name, bytes(content)[:-1] + b"?" if name == damaged else content)

    for damaged in ("image/c.2.0.0.0", "image/c.8.0.0.0", "label/c/0"):  # training, test, neither
        open_objects(output.url).delete(damaged)
        with monkeypatch.context() as patch:
            patch.setattr(ObstoreObjects, "write", damage)
            refused(run_ingest(*sources, "--output", output.url), f"{output.url / damaged}: is not what was written")
        assert f"x.zarr/{ROOT}" not in output.objects
    output.check(run_ingest(*sources, "--output", output.url))


def test_the_second_of_two_at_once_is_refused(
    output: Output, sources: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes: list[Outcome] = []
    write = ObstoreObjects.write

    def start_another(self: ObstoreObjects, name: str, content: bytes | memoryview) -> None:
        if name == "image/c.0.0.0.0":
            with monkeypatch.context() as patch:
                patch.setattr(ObstoreObjects, "write", write)
                outcomes.append(run_ingest(*sources, "--output", output.url))
        write(self, name, content)

    monkeypatch.setattr(ObstoreObjects, "write", start_another)
    first = run_ingest(*sources, "--output", output.url)
    refused(outcomes[0], f"{output.url}: another ingest is making this store")
    output.check(first)


def test_the_same_at_an_xrootd_server(
    sources: list[Path], expected: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALOSTREAM_CACHE", str(tmp_path / "cache"))
    served = tmp_path / "served"
    served.mkdir()
    with xrootd_server(served, tmp_path) as address:
        url = f"{address}/folder/x.zarr"
        outcome = run_ingest(*sources, "--output", url)
        assert outcome.status == 0, outcome.err
        refused(run_ingest(*sources, "--output", url), "already exists")
    root = served / "folder" / "x.zarr"
    assert [path.name for path in root.parent.iterdir()] == ["x.zarr"]
    found = {file.relative_to(root).as_posix(): file.read_bytes() for file in root.rglob("*") if file.is_file()}
    assert set(found) == set(expected)
    assert {name for name in found if found[name] != expected[name]} <= set(DIFFERENT)


@pytest.mark.slow
def test_a_selection_at_a_url_of_a_store_at_a_url(output: Output, sources: list[Path], tmp_path: Path) -> None:
    assert run_ingest(*sources, "--output", output.url).status == 0
    cut = ("--where", "source_row < 100")
    selected = output.url.with_name("y.zarr")
    outcome = run_ingest("select", output.url, *cut, "--output", selected)
    assert outcome.status == 0, outcome.err
    outcome = run_ingest("select", output.url, *cut, "--output", tmp_path / "y.zarr")
    assert outcome.status == 0, outcome.err
    objects = open_objects(selected)
    assert Output.digest(objects.read(ROOT)) == Output.digest((tmp_path / "y.zarr" / ROOT).read_bytes())
    assert run_ingest("verify", selected, *sources).status == 0
