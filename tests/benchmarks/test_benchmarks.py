"""Every benchmark runs at a tiny size, and a reader that delivers wrong images is caught."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from store.shuffles import SHUFFLES
from tests.benchmarks import bench_codecs, bench_ingest, bench_stream, remote
from tests.benchmarks.images import Images, rows_of
from tests.benchmarks.interleave import interleave, median_ratio
from tests.benchmarks.reader import Place, Reader
from tests.benchmarks.worker import Worker

IMAGES = 1_200


QUICK = ("reference", "h5py_slices")
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


def test_ingest_is_measured(tmp_path: Path) -> None:
    figures = bench_ingest.main(["--images", "300", "--rounds", "1", "--folder", str(tmp_path)])
    assert figures["h5py slices"]["ratio"] == 1
    assert {"ingest", "ingest verify", "xarray to_zarr"} < set(figures)
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
