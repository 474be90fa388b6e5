"""A store of a billion showers against one of half a million: ``python -m tests.benchmarks.billion``.

Both are made of the same shards, of showers drawn from the bundled sample. The large store has each of them 1,998 times
by hard links, so there is one copy of each in the page cache, and one map of it. What is measured is therefore what the
number of samples and files costs. A store of a billion different showers has 600 GB, and is as fast only as far as they
are in memory. ``label`` has a byte for each sample; the columns of origin are sparse files.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import google_crc32c
import numpy as np

from store.datasets import find_dataset
from store.digests import DIGESTS_FILE, content_digest, read_digests, shard_digests
from store.files import sha256
from store.integrity import MANY as LARGE
from store.layout import shard_path
from store.opening import open_unchecked
from store.sample_columns import content_columns
from store.writer import consolidate
from tests.benchmarks.images import Images
from tests.benchmarks.interleave import show_table
from tests.benchmarks.write_store import layout_of, write_store

FEW, MANY = 500_000, 1_000_000_000
COLUMNS = ("label", "split", "source_file", "source_row")
Figures = dict[str, dict[str, float]]
WARM_UP = 400  # batches until nearly all shards are open
HEADINGS = {
    "open_store": "open_store, ms",
    "open_dataset": "open_dataset, ms",
    "code": "loading compiled code, ms",
    "stream": "BatchStream after that, ms",
    "resident": "resident after that, MB",
    "imports": "of these for imports, MB",
    "first": "first batch, ms",
    "first_least": "least of these",
    "again": "first batch of a later iteration, ms",
    "early": "batch while shards are opened, ms",
    "warm": "batch, ms",
    "processor": "batch, ms of processor time",
    "processor_least": "least of these",
    "end": "resident at the end, MB",
    "anonymous": "of these not of files, MB",
}


def main(words: Sequence[str] | None = None) -> Figures:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--few", type=int, default=FEW, help="least number, small store (default %(default)s)")
    parser.add_argument("--many", type=int, default=MANY, help="least number, large store (default %(default)s)")
    parser.add_argument("--starts", type=int, default=5, help="processes started per store (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=9, help="measured rounds (default %(default)s)")
    parser.add_argument("--batches", type=int, default=200, help="batches per round (default %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="decoding threads (default %(default)s)")
    parser.add_argument("--folder", type=Path, metavar="PATH", help="create the temporary files inside this folder")
    options = parser.parse_args(words)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        showers = full_shards(options.few)
        times = -(-options.many // showers)
        small = write_store(Path(folder, "small.zarr"), Images(count=showers))
        large = link_store(small, Path(folder, "large.zarr"), times)
        stores = {f"{showers:,}": small, f"{showers * times:,}": large}
        figures = measure_starts(stores, options.starts)
        workers = {name: Worker(path, options.threads) for name, path in stores.items()}
        try:
            measure(workers, figures, options.rounds, options.batches)
        finally:
            for worker in workers.values():
                worker.close()
    rows = [[heading, *(f"{figures[name][key]:,.4g}" for name in figures)] for key, heading in HEADINGS.items()]
    _, many = figures.values()
    rows.append(["batch / batch of the small store, median of rounds", "1", f"{many['ratio']:.3f}"])
    rows.append(["the same in processor time", "1", f"{many['processor_ratio']:.3f}"])
    least = [figures[name]["processor_least"] for name in figures]
    rows.append(["the same, least of the rounds", "1", f"{least[1] / least[0]:.3f}"])
    show_table("showers in the store", list(figures), rows)
    return figures


def measure_starts(stores: dict[str, Path], starts: int) -> Figures:
    """Return what it takes to open each store, in processes of its own, in turn; medians."""
    answers: dict[str, list[dict[str, float]]] = {name: [] for name in stores}
    for start in range(-1, starts):  # the first compiles and fills the page cache
        for name, path in stores.items():
            worker = Worker(path, 2)
            answer = worker.ask("start")
            worker.close()
            if start >= 0:
                answers[name].append(answer)
    figures = {name: {key: median(each[key] for each in found) for key in found[0]} for name, found in answers.items()}
    for name, found in answers.items():
        figures[name]["first_least"] = min(each["first"] for each in found)
    return figures


def measure(workers: dict[str, "Worker"], figures: Figures, rounds: int, batches: int) -> None:
    """Measure batches of each store and add them to its figures; the workers take turns in the rounds."""
    for name, worker in workers.items():
        worker.ask("start")
        figures[name]["early"] = worker.ask(f"batches {min(10, batches)}")["warm"]
        worker.ask(f"batches {WARM_UP if batches > 20 else batches}")
    times: dict[str, list[dict[str, float]]] = {name: [] for name in workers}
    for round_ in range(rounds):
        for name in list(workers) if round_ % 2 else reversed(workers):
            times[name].append(workers[name].ask(f"batches {batches}"))
    few, many = times.values()
    for name, worker in workers.items():
        for key in ("again", "warm", "processor"):
            figures[name][key] = median(time[key] for time in times[name])
        figures[name]["processor_least"] = min(time["processor"] for time in times[name])
        figures[name] |= worker.ask("memory")
    for key, ratio in (("warm", "ratio"), ("processor", "processor_ratio")):
        figures[list(workers)[1]][ratio] = median(b[key] / a[key] for a, b in zip(few, many, strict=True))


def full_shards(showers: int) -> int:
    """Return the next larger number of showers that fills all shards of a store, which can then be repeated."""
    images = Images(count=showers)
    layout = layout_of(images, find_dataset(images.dataset))
    return layout.shard * layout.shard_count(showers)


def link_store(small: Path, root: Path, times: int) -> Path:
    """Make a store that has the shards of another `times` times, in turn, all of them in the training split."""
    store = open_unchecked(small)
    shards = store.shards.count
    recorded = read_digests(small)
    digests = {name: digest for name, digest in recorded.items() if not name.startswith("image/c.")}
    for name in digests:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("zarr.json"):
            (root / name).write_text(json.dumps(resized(json.loads((small / name).read_text()), times)))
            digests[name] = sha256(root / name)
        elif name.partition("/")[0] not in COLUMNS:
            os.link(small / name, root / name)
    for shard in range(shards * times):
        os.link(shard_path(small, shard % shards), shard_path(root, shard))
        digests[f"image/c.{shard}.0.0.0"] = recorded[f"image/c.{shard % shards}.0.0.0"]
    made = open_unchecked(root)
    for name in COLUMNS:
        array = made.array(name)
        assert array.shards is not None
        chunk, size = (samples * array.dtype.itemsize for samples in (array.chunks[0], array.shards[0]))
        index = np.stack([np.arange(0, size, chunk), np.full(size // chunk, chunk)], axis=1).astype("<u8").tobytes()
        with (root / name / "c" / "0").open("wb") as file:
            for _ in range(times if name == "label" else 0):
                file.write(store.column(name).data)
            file.seek(size)
            file.write(index + google_crc32c.value(index).to_bytes(4, "little"))
    if made.image.shape[0] <= LARGE:  # of larger stores, only `ingest verify` looks at these digests
        digests |= {f"{name}/c/0": sha256(root / name / "c" / "0") for name in COLUMNS}
        columns = map(made.column, content_columns(made.spec))
        digest = content_digest(shard_digests(digests), made.attributes["split_ranges"], columns)
        metadata = json.loads((root / "zarr.json").read_text())
        metadata["attributes"]["content_digest"] = digest
        (root / "zarr.json").write_text(json.dumps(metadata))
    consolidate(root)
    lines = sorted(f"{digest}  {name}\n" for name, digest in digests.items())
    (root / DIGESTS_FILE).write_text("".join(lines))
    return root


def resized(metadata: dict[str, Any], times: int) -> dict[str, Any]:
    """Return the metadata of an array or of the root group for a store with `times` as many samples."""
    attributes = metadata["attributes"]
    metadata.pop("consolidated_metadata", None)
    if "split_ranges" in attributes:
        ranges = attributes["split_ranges"].items()
        attributes["split_ranges"] = {split: [end * times for end in pair] for split, pair in ranges}
        attributes["sources"] = [{**source, "rows": source["rows"] * times} for source in attributes["sources"]]
    elif metadata["dimension_names"][0] == "sample":
        metadata["shape"][0] *= times
        grid = metadata["chunk_grid"]["configuration"]["chunk_shape"]
        grid[0] *= times if len(grid) == 1 else 1
    return metadata


class Worker:
    """A process that reads one store and answers commands with one line of JSON each."""

    def __init__(self, store: Path, threads: int) -> None:
        words = [sys.executable, "-m", "tests.benchmarks.billion_worker", str(store), str(threads)]
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, command: str) -> dict[str, float]:
        """Return the answer to a command."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()
        answer: dict[str, float] = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


if __name__ == "__main__":
    main()
