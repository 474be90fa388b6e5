"""Processor time of ingest per image, for sources of several sizes.

The sources consist of compressed chunks of smaller ones, again and again, so that they are written in seconds. A first
ingest, which is not shown, loads or compiles the compiled functions.
"""

import argparse
import resource
import shutil
import tempfile
import time
import zlib
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

from ingest.convert import Ingest, ingest
from ingest.executors import ThreadExecutor
from ingest.split import Split
from store.datasets import ELECTRON_PHOTON
from tests.benchmarks.bench_ingest import HDF5_CHUNK, SAMPLE

CHUNKS = 8  # different chunks of a source


def main(words: Sequence[str] | None = None) -> dict[int, float]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", nargs="*", type=Path, help="HDF5 files of showers (default: the bundled sample)")
    parser.add_argument("--images", nargs="+", type=int, default=[100_000, 1_000_000], help="numbers of images")
    parser.add_argument("--least", type=float, default=0.0, help="set cells below this energy to zero, to save disk")
    parser.add_argument("--threads", type=int, default=2, help="worker threads (default %(default)s)")
    parser.add_argument("--folder", type=Path, metavar="PATH", help="create the temporary files inside this folder")
    options = parser.parse_args(words)
    taken = options.source or sorted(SAMPLE.glob("*.hdf5"))
    seconds = {}
    for images in [min(options.images), *options.images]:
        with tempfile.TemporaryDirectory(dir=options.folder) as name:
            folder = Path(name)
            sources = [write_long(folder / path.name, path, images // len(taken), options.least) for path in taken]
            seconds[images] = measure(sources, folder / "out.zarr", options.threads)
    for images, total in seconds.items():
        print(f"{images:>12,} images: {total:8.1f} s of processor time, {1e6 * total / images:6.2f} µs per image")
    return seconds


def write_long(path: Path, taken: Path, images: int, least: float) -> Path:
    with h5py.File(taken) as file, h5py.File(path, "w") as long:
        chunk = min(HDF5_CHUNK, len(file["X"]), images)
        packed = []
        for number in range(min(CHUNKS, len(file["X"]) // chunk)):
            x = file["X"][number * chunk : (number + 1) * chunk]
            x[np.abs(x) < least] = 0
            shuffled = np.ascontiguousarray(x.view(np.uint8).reshape(-1, 4).T)
            packed.append(zlib.compress(shuffled.tobytes(), 9))
        dataset = long.create_dataset(
            "X", (images, *x.shape[1:]), "<f4", chunks=(chunk, *x.shape[1:]), compression="gzip", shuffle=True
        )
        for number, start in enumerate(range(0, images, chunk)):
            dataset.id.write_direct_chunk((start, 0, 0, 0), packed[number % len(packed)])
        long["y"] = np.full(images, file["y"][0])
    return path


def measure(sources: Sequence[Path], output: Path, threads: int) -> float:
    """Return the processor time of one ingest and of the processes that it starts, in seconds."""
    split = Split.parse("0.7,0.1,0.2")
    job = Ingest(sources=tuple(sources), spec=ELECTRON_PHOTON, output=output, split=split)
    before = _processor_time()
    ingest(job, ThreadExecutor(count=threads))
    used = _processor_time() - before
    shutil.rmtree(output)
    return used


def _processor_time() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


if __name__ == "__main__":
    main()
