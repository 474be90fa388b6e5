"""How fast shuffled batches come, ours and those of others: ``pixi run bench-stream [--images N] [--only NAME ...]``.

The images are a bundled sample, drawn with replacement: once in a store, and once more in the format of every reader
that has its own; ``--dataset quark-gluon`` takes jets, which are 23 times as large as showers. Readers run in processes
of their own and deliver epochs of batches to a consumer that touches nothing; the first round checks that every image
comes once and as it is. ``pip install -r tests/benchmarks/peers.txt`` installs the other readers; those that are not
there are left out.
"""

import argparse
import signal
import sys
import tempfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks.images import Images
from tests.benchmarks.interleave import Figures, interleave, median_ratio, show, show_table, write_report
from tests.benchmarks.remote import MissingError, Remote, Worker, closing_all
from tests.benchmarks.write_store import write_store

OWN = ("reference", "stream", "feed_torch", "feed_keras")
TRAIN = ("train_torch", "train_keras")
PEERS = tuple(sorted(path.stem for path in (Path(__file__).parent / "peers").glob("*.py")))
PYTHON312 = ("annbatch", "insitubatch")
REFERENCE = "numpy X[perm]"
FEW = 50_000  # images that memory and time are compared with
TRAINED = 4_096  # images in an epoch of training
SIZES = {"electron-photon": (500_000, 512), "quark-gluon": (6_000, 128)}  # images, and images a batch
MEMORY = 512  # MiB, what a stream may read ahead if it is told nothing


def main(words: Sequence[str] | None = None) -> dict[str, Any]:
    sizes = [", ".join(f"{size[which]:,} of {name}" for name, size in SIZES.items()) for which in (0, 1)]
    parser = argparse.ArgumentParser(spec=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", choices=SIZES, default="electron-photon", help="(default %(default)s)")
    parser.add_argument("--images", type=int, help=f"(default {sizes[0]})")
    parser.add_argument("--batch", type=int, help=f"images a batch (default {sizes[1]})")
    parser.add_argument("--rounds", type=int, default=5, help="(default %(default)s)")
    parser.add_argument(
        "--only", nargs="+", default=[*OWN, *PEERS], metavar="NAME", choices=[*OWN, *TRAIN, *PEERS], help="%(choices)s"
    )
    parser.add_argument("--python312", metavar="PATH", help=f"interpreter for {' and '.join(PYTHON312)}")
    parser.add_argument("--cold", action="store_true", help="our modes when nothing of the store is in the page cache")
    parser.add_argument("--report", type=Path, metavar="PATH", help="write the figures here as JSON")
    parser.add_argument("--folder", type=Path, metavar="PATH", help="make the files in a new folder inside this one")
    options = parser.parse_args(words)
    images, batch = (
        given or usual for given, usual in zip((options.images, options.batch), SIZES[options.dataset], strict=True)
    )
    with tempfile.TemporaryDirectory(dir=options.folder) as folder, closing_all() as executor:
        bench = Bench(
            folder=Path(folder),
            dataset=options.dataset,
            images=images,
            batch=batch,
            workers=executor,
            python312=options.python312,
        )
        found = bench.cold(options.rounds) if options.cold else bench.warm(options.only, options.rounds)
    if options.report:
        write_report(options.report, dataset=options.dataset, images=images, batch=batch, **found)
    return found


@dataclass(frozen=True, kw_only=True)
class Bench:
    """A folder with a store of `images` images of a data set, and the processes that read `batch` at a time there."""

    folder: Path
    dataset: str
    images: int
    batch: int
    executor: list[Worker]
    python312: str | None = None

    def warm(self, names: Collection[str], rounds: int) -> dict[str, Any]:
        """Measure readers with everything in the page cache; then memory and time against the number of images."""
        contenders: dict[str, Remote] = {}
        skipped: dict[str, str] = {}
        for name in dict.fromkeys(("reference", *names)):
            try:
                contenders |= self.start(name, images=min(TRAINED, self.images) if name in TRAIN else self.images)
            except MissingError as error:
                skipped[name] = str(error) + ("; see --python312" if name in PYTHON312 else "")
        figures = interleave(contenders, REFERENCE, rounds)
        for name, contender in contenders.items():
            figures[name] |= contender.more()
        show(figures, REFERENCE, "images", {"first_ms": "first batch, ms"})
        growth = self.growth(rounds) if "stream" in names else {}
        goals = targets(figures, growth)
        if goals:
            rows = [[name, f"{found:.3g}", wanted, ""] for name, (found, wanted) in goals.items()]
            show_table("targets", ["found", "wanted"], rows)
        for name, reason in skipped.items():
            print(f"left out: {name}: {reason}")
        return {"figures": figures, "growth": growth, "targets": goals, "skipped": skipped}

    def cold(self, rounds: int) -> dict[str, Any]:
        """Measure our modes with nothing of the store in the page cache."""
        contenders = self.start("stream", images=self.images, command="cold")
        reference = "ours, none, 2 threads"
        figures = interleave(contenders, reference, rounds)
        for name, contender in contenders.items():
            figures[name] |= contender.more() | {"from_disk_mb": contender.median("from_disk") / 1e6}
        show(figures, reference, "images", {"first_ms": "first batch, ms", "from_disk_mb": "MB from disk"})
        return {"figures": figures}

    def growth(self, rounds: int) -> Figures:
        """Compare the stream's memory, and its time an image, for few images and for all."""
        found: dict[str, Remote] = {}
        memory = {}
        for images in dict.fromkeys((min(FEW, self.images), self.images)):
            contenders = self.start("stream", images=images)
            full = contenders["ours, full, 2 threads"]
            name = f"{images:,} images"
            first, second = (full.worker.ask("watch", reader=full.reader, epoch=0) for _ in range(2))
            resident = max(first["resident"], second["resident"])
            memory[name] = {"resident_mb": resident / 1e6, "taken_mb": (resident - first["before"]) / 1e6}
            found[name] = full
        figures = interleave(found, next(iter(found)), rounds)
        for name, contender in found.items():
            figures[name] |= contender.more() | memory[name]
        headings = {"first_ms": "first batch, ms", "resident_mb": "resident MB", "taken_mb": "for the stream"}
        show(figures, next(iter(found)), "images", headings)
        return figures

    def drawn(self, images: int) -> Images:
        """Return so many images of the data set."""
        return Images(count=images, dataset=self.dataset)

    def start(self, name: str, *, images: int, command: str = "time") -> dict[str, Remote]:
        """Start the process of a module and return its readers, with their images written.

        Raises
        ------
        MissingError
            If the module needs something that is not installed.
        """
        store = self.folder / f"store-{images}"
        if not store.exists():
            write_store(store, self.drawn(images))
        python = {"python": self.python312} if name in PYTHON312 and self.python312 else {}
        package = "peers" if name in PEERS else "own"
        module = f"tests.benchmarks.{package}.{name}"
        worker = Worker(
            module, store=store, folder=self.folder / name, images=self.drawn(images), batch=self.batch, **python
        )
        self.executor.append(worker)
        worker.ask("write")
        fewer = "" if worker.images == self.images else f"; {worker.images:,} images"
        return {
            reader: Remote(worker=worker, reader=reader, note=about["shuffling"] + fewer, command=command)
            for reader, about in worker.readers.items()
        }


def targets(figures: Figures, growth: Figures) -> dict[str, tuple[float, str]]:
    """Return what was found and what was wanted, as far as it was measured."""
    found: dict[str, tuple[float, str]] = {}

    def ratio(name: str, base: str, wanted: str) -> None:
        if name in figures and base in figures:
            found[f"{name} / {base}"] = median_ratio(figures, name, base), wanted

    ours = "ours, full, 2 threads"
    ratio("ours, full, 1 thread", REFERENCE, ">= 0.65")
    ratio(ours, REFERENCE, ">= 1.0")
    ratio(ours, "numpy X[perm], 2 threads", "")
    ratio("ours, window, 1 thread", REFERENCE, ">= 0.55")
    ratio("ours, chunks, 1 thread", REFERENCE, ">= 1.0")
    for full, wanted in ((True, ">= 20"), (False, ">= 2.5")):
        peers = [name for name, figure in figures.items() if figure["peer"] and figure["full"] is full]
        if peers:
            ratio(ours, max(peers, key=lambda name: float(figures[name]["rate"])), wanted)
    ratio("ours, PyTorch feed", "ours, beside PyTorch", ">= 0.95")
    ratio("ours, Keras feed", "ours, beside TensorFlow", ">= 0.85")
    for framework in ("PyTorch", "Keras"):
        ratio(f"training {framework}, from the stream", f"training {framework}, from arrays", ">= 0.98")
    if len(growth) > 1:
        few, many = growth.values()
        found["MB more for all images"] = many["resident_mb"] - few["resident_mb"], "<= 50"
        found["time an image / for few images"] = 1 / many["ratio"], "0.85 - 1.15"
        found["first batch, ms"] = many["first_ms"], "<= 50"
    for name, figure in growth.items():
        found[f"MB for the stream of {name}"] = figure["taken_mb"], f"<= {MEMORY * 1.048576:.0f}"
    return found


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))  # the files, gigabytes, go all the same
    main()
