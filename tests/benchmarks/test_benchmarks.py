"""Every benchmark runs at a tiny size, and a reader that delivers wrong images is caught."""

import argparse
import json
import sys
import urllib.request
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from store.plans.shuffles import SHUFFLES
from tests.benchmarks import bench_codecs, bench_ingest, bench_ingest_sizes, bench_link, bench_stream, remote, tables
from tests.benchmarks.images import Images, rows_of
from tests.benchmarks.interleave import interleave, median_ratio
from tests.benchmarks.link import linked
from tests.benchmarks.reader import Place, Reader
from tests.benchmarks.worker import Worker
from tests.servers import http_server

IMAGES = 1_200


QUICK = ("reference", "h5py_slices", "feed_keras", "train_torch")
READERS = [
    pytest.param(name, marks=() if name in QUICK else pytest.mark.slow)
    for name in (*bench_stream.OWN, *bench_stream.TRAIN, *bench_stream.PEERS)
    if name != "stream"
]


@pytest.mark.parametrize("name", READERS)
def test_readers_deliver_every_image_once_and_unchanged(name: str, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    images = 100 if name in bench_stream.TRAIN else IMAGES
    words = ["--images", images, "--rounds", 1, "--only", name, "--folder", tmp_path, "--report", report]
    results = bench_stream.main([str(word) for word in words])
    if name in results["skipped"]:
        pytest.skip(results["skipped"][name])
    readers = {reader: figure for reader, figure in results["figures"].items() if "numpy" not in reader}
    assert bool(readers) == (name != "reference")
    assert json.loads(report.read_text())["figures"] == results["figures"]
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


@pytest.mark.slow
def test_the_stream_is_measured_in_all_modes_and_for_few_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench_stream, "FEW", IMAGES // 2)
    results = bench_stream.main(
        ["--images", str(IMAGES), "--rounds", "1", "--only", "stream", "--folder", str(tmp_path)]
    )
    assert {name.split(", ")[1] for name in results["figures"] if name.startswith("ours")} == set(SHUFFLES)
    assert list(results["growth"]) == ["600 images", "1,200 images"]
    assert {"extra MB for all images", "first batch, ms"} < set(results["targets"])
    taken, _ = results["targets"]["MB for the stream of 1,200 images"]
    assert taken > 512 * 0.008192, "the stream holds at least one batch"


@pytest.mark.slow
def test_all_modes_are_measured_cold_and_on_jets(tmp_path: Path) -> None:
    words = ["--dataset", "quark-gluon", "--images", "60", "--batch", "16", "--rounds", "1", "--cold"]
    results = bench_stream.main([*words, "--folder", str(tmp_path)])
    assert {name.split(", ")[1] for name in results["figures"]} == set(SHUFFLES)
    assert {figure["images"] for figure in results["figures"].values()} == {60}


@pytest.mark.parametrize(
    ("name", "large"),
    [
        ("ours", 0),
        pytest.param("ours", 3 * IMAGES, marks=pytest.mark.slow),
        *(pytest.param(name, 0, marks=pytest.mark.slow) for name in bench_link.READERS if name != "ours"),
    ],
)
def test_readers_over_a_link_deliver_every_image_once_and_unchanged(name: str, large: int, tmp_path: Path) -> None:
    words = ["--images", IMAGES, "--rounds", 1, "--epochs", 2, "--large", large, "--only", name, "--folder", tmp_path]
    report = bench_link.main([str(word) for word in words])
    assert not list(tmp_path.iterdir())
    if name in report["skipped"]:
        pytest.skip(report["skipped"][name])
    remote = {reader: figure for reader, figure in report["figures"].items() if figure.get("mb")}
    assert all(figure["images"] == IMAGES or "cache" in reader for reader, figure in remote.items())
    if name == "ours":
        assert set(remote) == {"ours, window", "ours, auto", *([bench_link.TENFOLD] if large else [])}
        assert remote["ours, auto"]["later_mb"] == 0, "a later epoch needs nothing from the server"


def test_a_link_carries_what_the_server_sends(tmp_path: Path) -> None:
    content = np.random.default_rng(0).bytes(1_000_000)
    for name in ("served", "logs"):
        (tmp_path / name).mkdir()
    (tmp_path / "served" / "file").write_bytes(content)
    with http_server(tmp_path / "served", tmp_path / "logs") as server:
        port = int(server.rpartition(":")[2])
        with linked(port, rate=50e6, latency=0.001) as link:
            assert link.carried() == 0
            for _ in range(2):
                assert urllib.request.urlopen(f"{link.address}/file").read() == content
            assert 2_000_000 < link.carried() < 2_002_000


def test_the_tables_of_the_page_are_those_of_its_reports() -> None:
    page = Path(__file__).parents[2] / "docs" / "benchmarks.md"
    assert tables.filled(page) == page.read_text(), "run: python -m tests.benchmarks.tables"


def test_a_table_has_columns_for_each_machine(tmp_path: Path) -> None:
    (tmp_path / "benchmarks").mkdir()
    for name, rate in (("a", 4.0), ("b", 8.0)):
        rates = {"numpy X[perm]": 2.0, "numpy X[perm], 2 threads": 1.0, "ours, full, 2 threads": rate, "theirs": 0.5}
        figures = interleave({name: Rates([1.0, value, value]) for name, value in rates.items()}, "numpy X[perm]", 2)
        for reader, figure in figures.items():
            figure["peer"] = reader == "theirs"
        report = {"machine": {"processor": name, "cores": 2, "system": "Linux", "python": "3"}, "figures": figures}
        (tmp_path / "benchmarks" / f"{name}.json").write_text(json.dumps(report))
    page = tmp_path / "page.md"
    page.write_text("<!-- stream a.json b.json -->\n<!-- end -->\n<!-- peers b.json -->\nold\n<!-- end -->\n")
    tables.main(str(page))
    lines = page.read_text().splitlines()
    ours = "| ours, full, 2 threads | 4 | 2 (2 - 2) | 4 (4 - 4) | 8 | 4 (4 - 4) | 8 (8 - 8) | made up |"
    assert ours in lines
    assert "| theirs | 0 | 0.25 (0.25 - 0.25) | 16 (16 - 16) | made up |" in lines
    assert "old" not in lines


def test_the_interpreter_of_a_module_is_checked() -> None:
    names, path = bench_stream.parse_interpreter(f"mosaic,litdata={sys.executable}")
    assert (names, path) == (["mosaic", "litdata"], sys.executable)
    for wrong in ("mosaic", "mosaic=/no/python", f"unknown={sys.executable}"):
        with pytest.raises(argparse.ArgumentTypeError, match=r"NAME\[,NAME\.\.\.\]=PATH"):
            bench_stream.parse_interpreter(wrong)


def test_ingest_is_measured(tmp_path: Path) -> None:
    figures = bench_ingest.main(["--images", "300", "--rounds", "1", "--folder", str(tmp_path)])
    assert figures["h5py slices"]["ratio"] == 1
    assert {"ingest", "ingest verify", "xarray to_zarr"} < set(figures)
    assert not list(tmp_path.iterdir())


def test_ingest_of_several_sizes_is_measured(tmp_path: Path) -> None:
    seconds = bench_ingest_sizes.main(["--images", "300", "600", "--least", "0.05", "--folder", str(tmp_path)])
    assert list(seconds) == [300, 600]
    assert min(seconds.values()) > 0
    assert not list(tmp_path.iterdir())


def test_codecs_are_measured(capsys: pytest.CaptureFixture[str]) -> None:
    bench_codecs.main(["--images", "70", "--rounds", "1"])
    assert "blosc lz4 5, one sample per block" in capsys.readouterr().out


def test_images_do_not_depend_on_the_count_and_carry_their_row() -> None:
    many, few = Images(count=5_000), Images(count=30)
    rows = np.array([29, 3, 17])
    assert np.array_equal(many.take(rows), few.take(rows))
    assert np.array_equal(rows_of(many.take(rows)), rows)
    assert np.array_equal(np.concatenate(list(few.blocks(7))), many.take(np.arange(30)))
    assert np.array_equal(few.labels(), many.labels()[:30])


COUNT, HALF = 40, 20
WRONG = {
    "one is missing": lambda right: [right[:HALF], right[HALF:-1]],
    "one arrives twice": lambda right: [right[:HALF], right[HALF - 1 :]],
    "one replaces another": lambda right: [right[:HALF], right[:1], right[HALF + 1 :]],
    "a pixel differs": lambda right: [right + (np.arange(right.size).reshape(right.shape) == 5000)],
    "float64": lambda right: [right.astype(np.float64)],
    "upside down": lambda right: [right[:, :, ::-1]],
}


def worker_that_reads(tmp_path: Path, batches: Callable[[np.ndarray], Iterable[np.ndarray]]) -> Worker:
    place = Place(store=tmp_path, folder=tmp_path, images=Images(count=COUNT), batch=HALF)
    right = place.images.take(np.arange(COUNT))
    reader = Reader(open=lambda place: lambda epoch: batches(right), shuffling="made up")
    contents = ModuleType("made up")
    contents.READERS = {"made up": reader}  # type: ignore[attr-defined]
    return Worker(contents, place)


def test_the_right_images_pass_in_any_order(tmp_path: Path) -> None:
    in_order = worker_that_reads(tmp_path, lambda right: [right[:HALF], right[HALF:]])
    shuffled = worker_that_reads(tmp_path, lambda right: [right[HALF:], right[:HALF]])
    assert in_order.check("made up", 0) == {"in_order": True}
    assert shuffled.check("made up", 0) == {"in_order": False}


@pytest.mark.parametrize("batches", WRONG.values(), ids=WRONG.keys())
def test_wrong_images_are_caught(tmp_path: Path, batches: Callable[[np.ndarray], Iterable[np.ndarray]]) -> None:
    with pytest.raises(AssertionError, match="made up"):
        worker_that_reads(tmp_path, batches).check("made up", 0)


def test_a_failing_process_says_why(tmp_path: Path) -> None:
    store = tmp_path / "no store"
    images = Images(count=9)
    worker = remote.Worker("tests.benchmarks.own.stream", store=store, folder=tmp_path / "own", images=images, batch=2)
    with pytest.raises(RuntimeError, match="no store here"):
        worker.ask("check", reader="ours, full, 1 thread", epoch=0)


def test_ratios_are_taken_within_a_round() -> None:
    base, other = Rates([1.0, 10.0, 20.0, 40.0]), Rates([1.0, 5.0, 40.0, 20.0])
    figures = interleave({"base": base, "other": other}, "base", 3)
    assert figures["other"] == {
        "note": "made up",
        "rate": 20.0,
        "ratio": 0.5,
        "ratio_min": 0.5,
        "ratio_max": 2.0,
        "rates": [5.0, 40.0, 20.0],
    }
    assert median_ratio(figures, "base", "other") == 2.0


@dataclass
class Rates:
    """A contender with given rates; the rate of round 0 does not count."""

    rates: list[float]
    note: str = "made up"

    def measure(self, round_: int) -> float:
        return self.rates[round_]
