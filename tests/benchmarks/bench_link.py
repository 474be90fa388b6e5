"""Speed of batches from a store behind a limited link: ``python -m tests.benchmarks.bench_link [--only NAME ...]``.

A web server on this machine (nginx) is read through a link of limited bandwidth and latency, `tests.benchmarks.link`.
First the files of the store are downloaded as they are, over several connections: that is what the link carries. Then
each reader delivers epochs of batches, the first one with an empty cache. Readers that read from S3 take the web server
for one. The first round is not timed: it checks that every image arrives exactly once and unchanged.
"""

import argparse
import contextlib
import shutil
import signal
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from store.console import track
from tests.benchmarks.bench_stream import parse_interpreter
from tests.benchmarks.images import Images
from tests.benchmarks.interleave import write_report
from tests.benchmarks.link import Link, linked
from tests.benchmarks.remote import MissingError, Worker, closing_all
from tests.benchmarks.tables import link_table
from tests.benchmarks.write_store import write_store
from tests.servers import http_server

OURS = "ours"
READERS = (OURS, *sorted(path.stem for path in (Path(__file__).parent / "over_link").glob("*.py") if path.stem != OURS))
CONNECTIONS = 8
TENFOLD = "ours, auto, ten times the cache"
LOCAL = {"ours, auto": "local store, full", "local store, full": "local store, full"}
PLAIN = "plain download"
BATCH = 512

Epochs = Sequence[Mapping[str, float]]


def main(words: Sequence[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=100, help="bandwidth in MB/s (default %(default)s)")
    parser.add_argument("--latency", type=float, default=20, help="round trip in ms (default %(default)s)")
    parser.add_argument("--images", type=int, default=500_000, help="images in the store (default %(default)s)")
    parser.add_argument(
        "--large",
        type=int,
        default=2_000_000,
        help="images in the store that is ten times as large as the cache; 0 for none (default %(default)s)",
    )
    parser.add_argument("--rounds", type=int, default=3, help="measured rounds (default %(default)s)")
    parser.add_argument("--epochs", type=int, default=3, help="epochs per round (default %(default)s)")
    parser.add_argument("--only", nargs="+", default=READERS, metavar="NAME", choices=READERS, help="of: %(choices)s")
    parser.add_argument(
        "--python",
        action="append",
        default=[],
        type=parse_interpreter,
        metavar="NAME[,NAME...]=PATH",
        help="Python interpreter that runs these modules; repeatable",
    )
    parser.add_argument("--report", type=Path, metavar="PATH", help="write the results to this JSON file")
    parser.add_argument("--folder", type=Path, metavar="PATH", help="create the temporary files inside this folder")
    options = parser.parse_args(words)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=options.folder)))
        for name in ("served", "logs", "caches"):
            (folder / name).mkdir()
        server = stack.enter_context(http_server(folder / "served", folder / "logs"))
        link = stack.enter_context(
            linked(int(server.rpartition(":")[2]), rate=1e6 * options.rate, latency=options.latency / 1000)
        )
        bench = Bench(folder=folder, link=link, workers=stack.enter_context(closing_all()))
        pythons = {name: path for names, path in options.python for name in names}
        store = bench.add_all(options.only, options.images, options.epochs, pythons)
        if options.large and OURS in options.only:
            bench.add_tenfold(options.large)
        figures = bench.measure(store, options.rounds)
    report = {
        "rate": options.rate,
        "latency": options.latency,
        "images": options.images,
        "figures": figures,
        "skipped": bench.skipped,
    }
    if options.report:
        write_report(options.report, **report)
    print(link_table(figures))
    for name, reason in bench.skipped.items():
        print(f"skipped {name}: {reason}")
    return report


@dataclass(frozen=True, kw_only=True)
class Case:
    """One reader, and how many epochs of it are measured; `cache_bytes` bounds its cache."""

    worker: Worker
    reader: str
    epochs: int
    cache_bytes: int | None = None


@dataclass(frozen=True, kw_only=True)
class Bench:
    """The benchmark's folders, server and processes.

    Attributes
    ----------
    folder
        Folder of all files: below ``served`` what is read, below ``caches`` the copies.
    link
        The link to the server.
    workers
        Every process that was started, to be closed at the end.
    cases
        What is measured, by name.
    skipped
        Why a module is not measured.
    """

    folder: Path
    link: Link
    workers: list[Worker]
    cases: dict[str, Case] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def add_all(self, names: Collection[str], images: int, epochs: int, pythons: Mapping[str, str]) -> Path:
        """Start the process of each module, write its files, and return our store."""
        store = write_store(self.folder / "served" / f"store-{images}", Images(count=images))
        for name in names:
            try:
                worker = self.start(name, store, images, pythons.get(name, sys.executable))
            except MissingError as error:
                self.skipped[name] = f"{error}; see tests/benchmarks/peers.txt"
                continue
            worker.ask("write")
            for reader in worker.readers:
                self.cases[reader] = Case(worker=worker, reader=reader, epochs=epochs if name == OURS else 2)
        return store

    def add_tenfold(self, images: int) -> None:
        """Add our stream from a store ten times as large as its cache."""
        store = write_store(self.folder / "served" / f"store-{images}", Images(count=images))
        sizes = [path.stat().st_size for path in shards_of(store)]
        cache_bytes = max(sum(sizes) // 10, 3 * max(sizes))  # a store of fewer than 30 shards is less than ten times
        worker = self.start(OURS, store, images, sys.executable)
        self.cases[TENFOLD] = Case(worker=worker, reader="ours, auto", epochs=1, cache_bytes=cache_bytes)

    def start(self, name: str, store: Path, images: int, python: str) -> Worker:
        """Start the process of a module; its own files are served as well."""
        module, folder = f"tests.benchmarks.over_link.{name}", self.folder / "served" / name
        worker = Worker(module, store=store, folder=folder, images=Images(count=images), batch=BATCH, python=python)
        self.workers.append(worker)
        return worker

    def measure(self, store: Path, rounds: int) -> dict[str, dict[str, Any]]:
        """Measure every case once per round, and return the figures of each."""
        urls = [f"{self.link.address}/{path.relative_to(store.parent)}" for path in shards_of(store)]
        plain: list[float] = []
        epochs: dict[str, list[Epochs]] = {name: [] for name in self.cases}
        for round_ in track(range(rounds + 1), "measuring"):
            plain.append(download(urls))
            for name, case in self.cases.items():
                epochs[name].append(self.run(case, checking=round_ == 0))
        figures: dict[str, dict[str, Any]] = {PLAIN: {"bytes_per_second": plain[1:]}}
        for name, measured in epochs.items():
            case = self.cases[name]
            note = str(case.worker.readers[case.reader]["shuffling"])
            local = epochs.get(LOCAL.get(name, "local store, window"), [])
            figures[name] = summary(measured[1:], plain[1:], local[1:]) | {"note": note, "images": case.worker.images}
        return figures

    def run(self, case: Case, *, checking: bool) -> Epochs:
        """Open a reader with an empty cache and return what was measured in each of its epochs."""
        cache = Path(tempfile.mkdtemp(dir=self.folder / "caches"))
        epochs = []
        carried = self.link.carried()
        opening = case.worker.ask(
            "connect", reader=case.reader, address=self.link.address, cache=str(cache), cache_bytes=case.cache_bytes
        )["seconds"]
        for epoch in range(min(case.epochs, 2) if checking else case.epochs):
            if checking:
                case.worker.ask("check", reader=case.reader, epoch=epoch)
                continue
            answer = case.worker.ask("time", reader=case.reader, epoch=epoch)
            assert answer["images"] == case.worker.images
            before, carried = carried, self.link.carried()
            extra = 0 if epoch else opening
            epochs.append(
                {
                    "seconds": answer["seconds"] + extra,
                    "first": answer["first"] + extra,
                    "images": answer["images"],
                    "carried": carried - before,
                }
            )
        case.worker.ask("forget")
        shutil.rmtree(cache)
        return epochs


def shards_of(store: Path) -> list[Path]:
    """Return the files that hold the images of a store."""
    return sorted((store / "image").glob("c.*"))


def download(urls: Sequence[str]) -> float:
    """Download files over several connections and return the bytes per second."""

    def size(url: str) -> int:
        with urllib.request.urlopen(url) as answer:
            return sum(map(len, iter(lambda: answer.read(1 << 20), b"")))

    began = time.perf_counter()
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        return sum(pool.map(size, urls)) / (time.perf_counter() - began)


def later_rate(epochs: Epochs) -> float:
    """Return the images/s of the epochs after the first one."""
    return statistics.median(epoch["images"] / epoch["seconds"] for epoch in epochs[1:])


def summary(rounds: Sequence[Epochs], plain: Sequence[float], local: Sequence[Epochs]) -> dict[str, Any]:
    """Return medians over all rounds of a case, and the ratios of each round.

    Returns
    -------
    dict
        For the first epoch ``rate`` in images/s, ``first_ms``, ``mb`` over the link, and in each round its share of
        the rate of a plain download (``shares``). For the epochs after it ``later_rate``, ``later_mb`` and, if the
        local store was measured, in each round the ratio to it (``ratios``).
    """
    firsts = [epochs[0] for epochs in rounds]
    shares = [first["carried"] / first["seconds"] / rate for first, rate in zip(firsts, plain, strict=True)]
    figures: dict[str, Any] = {
        "rate": statistics.median(first["images"] / first["seconds"] for first in firsts),
        "first_ms": 1000 * statistics.median(first["first"] for first in firsts),
        "mb": statistics.median(first["carried"] for first in firsts) / 1e6,
        "shares": shares,
        "rounds": rounds,
    }
    if len(rounds[0]) > 1:
        rates = [later_rate(epochs) for epochs in rounds]
        figures["later_rate"] = statistics.median(rates)
        figures["later_mb"] = statistics.median(epoch["carried"] for epochs in rounds for epoch in epochs[1:]) / 1e6
        figures["ratios"] = [rate / later_rate(base) for rate, base in zip(rates, local, strict=False)]
    return figures


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))  # so that temporary files are removed
    main()
