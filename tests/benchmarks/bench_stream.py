"""Speed of shuffled batches from our stream and from other readers: ``pixi run bench-stream [--only NAME ...]``.

The images are drawn from a bundled sample with replacement. They are written to a store, and once more for every reader
that has a format of its own. ``--dataset quark-gluon`` takes jets, which are 23 times as large as showers. Each reader
runs in its own process and delivers epochs of batches to a consumer that does nothing with them. The first round is not
timed: it checks that every image arrives exactly once and unchanged. ``pip install -r tests/benchmarks/peers.txt``
installs the other readers; readers that are not installed are skipped.
"""

import argparse
import signal
import sys
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.benchmarks.images import Images
from tests.benchmarks.interleave import Figures, interleave, median_ratio, show, show_table, write_report
from tests.benchmarks.remote import MissingError, Remote, Worker, closing_all
from tests.benchmarks.write_store import write_store

OWN = ("reference", "stream", "feed_torch", "feed_keras")
TRAIN = ("train_torch", "train_keras")
PEERS = tuple(sorted(path.stem for path in (Path(__file__).parent / "peers").glob("*.py")))
REFERENCE = "numpy X[perm]"
FEW = 50_000  # images in the small store that memory and time are compared with
TRAINED = 4_096  # images per epoch of training
SIZES = {"electron-photon": (500_000, 512), "quark-gluon": (6_000, 128)}  # images, and images per batch
MEMORY = 512  # MiB, the default bound of a stream on the batches that it reads ahead


def main(words: Sequence[str] | None = None) -> dict[str, Any]:
    sizes = [", ".join(f"{size[which]:,} of {name}" for name, size in SIZES.items()) for which in (0, 1)]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--dataset", choices=SIZES, default="electron-photon", help="images to read (default %(default)s)"
    )
    parser.add_argument("--images", type=int, help=f"number of images (default {sizes[0]})")
    parser.add_argument("--batch", type=int, help=f"images per batch (default {sizes[1]})")
    parser.add_argument("--rounds", type=int, default=5, help="measured rounds (default %(default)s)")
    parser.add_argument(
        "--only",
        nargs="+",
        default=[*OWN, *PEERS],
        metavar="NAME",
        choices=[*OWN, *TRAIN, *PEERS],
        help="modules to run: %(choices)s",
    )
    parser.add_argument(
        "--python",
        action="append",
        default=[],
        type=parse_interpreter,
        metavar="NAME[,NAME...]=PATH",
        help="Python interpreter that runs these modules; repeatable",
    )
    parser.add_argument("--cold", action="store_true", help="measure only our modes, with an empty page cache")
    parser.add_argument("--report", type=Path, metavar="PATH", help="write the results to this JSON file")
    parser.add_argument("--folder", type=Path, metavar="PATH", help="create the temporary files inside this folder")
    options = parser.parse_args(words)
    images, batch = (
        chosen or default
        for chosen, default in zip((options.images, options.batch), SIZES[options.dataset], strict=True)
    )
    with tempfile.TemporaryDirectory(dir=options.folder) as folder, closing_all() as workers:
        bench = Bench(
            folder=Path(folder),
            dataset=options.dataset,
            images=images,
            batch=batch,
            workers=workers,
            pythons={name: path for names, path in options.python for name in names},
        )
        results = bench.cold(options.rounds) if options.cold else bench.warm(options.only, options.rounds)
    if options.report:
        write_report(options.report, dataset=options.dataset, images=images, batch=batch, **results)
    return results


def parse_interpreter(text: str) -> tuple[list[str], str]:
    """Return the modules and the interpreter of ``NAME[,NAME...]=PATH``."""
    names, _, path = text.partition("=")
    unknown = sorted(set(names.split(",")) - {*OWN, *TRAIN, *PEERS})
    if unknown or not Path(path).is_file():
        raise argparse.ArgumentTypeError(f"{text}: expected NAME[,NAME...]=PATH, such as {PEERS[0]}=env/bin/python")
    return names.split(","), path


@dataclass(frozen=True, kw_only=True)
class Bench:
    """The benchmark's folder and worker processes.

    Attributes
    ----------
    folder
        Where stores and the files of other readers are written.
    dataset
        Name of the data set that the images come from.
    images
        Number of images that the readers deliver per epoch.
    batch
        Images per batch.
    workers
        Every process that was started, to be closed at the end.
    pythons
        Python interpreters of modules that are not run by this one.
    """

    folder: Path
    dataset: str
    images: int
    batch: int
    workers: list[Worker]
    pythons: Mapping[str, str] = field(default_factory=dict)

    def warm(self, names: Collection[str], rounds: int) -> dict[str, Any]:
        """Measure readers with all files in the page cache, then how memory and time grow with the number of images."""
        contenders: dict[str, Remote] = {}
        skipped: dict[str, str] = {}
        for name in dict.fromkeys(("reference", *names)):
            try:
                contenders |= self.start(name, images=min(TRAINED, self.images) if name in TRAIN else self.images)
            except MissingError as error:
                skipped[name] = f"{error}; see tests/benchmarks/peers.txt"
        figures = interleave(contenders, REFERENCE, rounds)
        for name, contender in contenders.items():
            figures[name] |= contender.more()
        show(figures, REFERENCE, "images", {"first_ms": "first batch, ms"})
        growth = self.growth(rounds) if "stream" in names else {}
        goals = targets(figures, growth)
        if goals:
            rows = [[name, f"{measured:.3g}", target, ""] for name, (measured, target) in goals.items()]
            show_table("targets", ["measured", "target"], rows)
        for name, reason in skipped.items():
            print(f"skipped {name}: {reason}")
        return {"figures": figures, "growth": growth, "targets": goals, "skipped": skipped}

    def cold(self, rounds: int) -> dict[str, Any]:
        """Measure our modes with none of the store's files in the page cache."""
        contenders = self.start("stream", images=self.images, command="cold")
        reference = "ours, none, 2 threads"
        figures = interleave(contenders, reference, rounds)
        for name, contender in contenders.items():
            figures[name] |= contender.more() | {"from_disk_mb": contender.median("from_disk") / 1e6}
        show(figures, reference, "images", {"first_ms": "first batch, ms", "from_disk_mb": "MB from disk"})
        return {"figures": figures}

    def growth(self, rounds: int) -> Figures:
        """Compare the stream's memory, and its time per image, between a small store and the whole one."""
        contenders: dict[str, Remote] = {}
        memory = {}
        for images in dict.fromkeys((min(FEW, self.images), self.images)):
            full = self.start("stream", images=images)["ours, full, 2 threads"]
            name = f"{images:,} images"
            first, second = (full.worker.ask("watch", reader=full.reader, epoch=0) for _ in range(2))
            resident = max(first["resident"], second["resident"])
            memory[name] = {"resident_mb": resident / 1e6, "taken_mb": (resident - first["before"]) / 1e6}
            contenders[name] = full
        reference = next(iter(contenders))
        figures = interleave(contenders, reference, rounds)
        for name, contender in contenders.items():
            figures[name] |= contender.more() | memory[name]
        headings = {"first_ms": "first batch, ms", "resident_mb": "resident MB", "taken_mb": "MB for the stream"}
        show(figures, reference, "images", headings)
        return figures

    def draw(self, images: int) -> Images:
        """Return that many images, drawn from the data set's sample."""
        return Images(count=images, dataset=self.dataset)

    def start(self, name: str, *, images: int, command: str = "time") -> dict[str, Remote]:
        """Start the process of a module, write the images for its readers, and return the readers.

        Raises
        ------
        MissingError
            If the module needs a package that is not installed.
        """
        store = self.folder / f"store-{images}"
        if not store.exists():
            write_store(store, self.draw(images))
        package = "peers" if name in PEERS else "own"
        module = f"tests.benchmarks.{package}.{name}"
        worker = Worker(
            module,
            store=store,
            folder=self.folder / name,
            images=self.draw(images),
            batch=self.batch,
            python=self.pythons.get(name, sys.executable),
        )
        self.workers.append(worker)
        worker.ask("write")
        fewer = "" if worker.images == self.images else f"; {worker.images:,} images"
        return {
            reader: Remote(worker=worker, reader=reader, note=about["shuffling"] + fewer, command=command)
            for reader, about in worker.readers.items()
        }


def targets(figures: Figures, growth: Figures) -> dict[str, tuple[float, str]]:
    """Return the measured value and the target of every quantity that was measured."""
    values: dict[str, tuple[float, str]] = {}

    def ratio(name: str, base: str, target: str) -> None:
        if name in figures and base in figures:
            values[f"{name} / {base}"] = median_ratio(figures, name, base), target

    ours = "ours, full, 2 threads"
    ratio("ours, full, 1 thread", REFERENCE, ">= 0.65")
    ratio(ours, REFERENCE, ">= 1.0")
    ratio(ours, "numpy X[perm], 2 threads", "")
    ratio("ours, full, sparse, 1 thread", "ours, full, 1 thread", "")
    ratio("ours, window, 1 thread", REFERENCE, ">= 0.55")
    ratio("ours, chunks, 1 thread", REFERENCE, ">= 1.0")
    for full, target in ((True, ">= 20"), (False, ">= 2.5")):
        peers = [name for name, figure in figures.items() if figure["peer"] and figure["full"] is full]
        if peers:
            ratio(ours, max(peers, key=lambda name: float(figures[name]["rate"])), target)
    ratio("ours, PyTorch feed", "ours, beside PyTorch", ">= 0.95")
    ratio("ours, Keras feed", "ours, beside TensorFlow", ">= 0.85")
    for framework in ("PyTorch", "Keras"):
        ratio(f"training {framework}, from the stream", f"training {framework}, from arrays", ">= 0.98")
    if len(growth) > 1:
        few, many = growth.values()
        values["extra MB for all images"] = many["resident_mb"] - few["resident_mb"], "<= 50"
        values["time per image / for few images"] = 1 / many["ratio"], "0.85 - 1.15"
        values["first batch, ms"] = many["first_ms"], "<= 50"
    for name, figure in growth.items():
        values[f"MB for the stream of {name}"] = figure["taken_mb"], f"<= {MEMORY * 1.048576:.0f}"
    return values


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))  # so that temporary files are removed
    main()
