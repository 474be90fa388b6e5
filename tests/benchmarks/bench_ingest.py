"""Speed of ingest compared with only reading its sources: ``pixi run bench-ingest [--images N] [SOURCE ...]``.

Without sources, it draws images from the bundled Geant4 sample with replacement and writes two HDF5 files: gzip with
the shuffle filter, in chunks of 3,000 images, as the larger files of the field are stored.
"""

import argparse
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import h5py
import numpy as np
import xarray as xr

from ingest.convert import Ingest, ingest
from ingest.executors import ThreadExecutor
from ingest.external_shuffle import Stretch, cut_stretches
from ingest.split import Split
from ingest.statistics import statistics_of
from ingest.verify import verify
from store.datasets import ELECTRON_PHOTON
from store.opening import open_store
from store.readers.sample_reader import open_reader
from store.sources.opening import open_sources
from tests.benchmarks.images import SAMPLES, TELL
from tests.benchmarks.interleave import Timed, interleave, show, write_report

REFERENCE = "h5py slices"
SAMPLE = SAMPLES / "electron-photon"
HDF5_CHUNK = 3000


def main(words: Sequence[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", nargs="*", type=Path, help="HDF5 files of showers")
    parser.add_argument("--images", type=int, default=50_000, help="images per generated source (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="measured rounds (default %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="worker threads (default %(default)s)")
    parser.add_argument("--report", type=Path, metavar="PATH", help="write the results to this JSON file")
    parser.add_argument("--folder", type=Path, metavar="PATH", help="create the temporary files inside this folder")
    options = parser.parse_args(words)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        sources = options.source or make_sources(Path(folder), options.images)
        figures = interleave(contenders(sources, Path(folder), options.threads), REFERENCE, options.rounds)
    show(figures, REFERENCE, "images")
    if options.report:
        write_report(options.report, threads=options.threads, sources=[path.name for path in sources], figures=figures)
    return figures


def make_sources(folder: Path, images: int) -> list[Path]:
    made = []
    for path in sorted(SAMPLE.glob("*.hdf5")):
        with h5py.File(path) as file:
            x, y = file["X"][:], file["y"][:]
        made.append(folder / path.name)
        chosen = np.random.default_rng(0).integers(0, len(x), images)
        with h5py.File(made[-1], "w") as file:
            chunks = (min(HDF5_CHUNK, images), *x.shape[1:])
            file.create_dataset("X", (images, *x.shape[1:]), "f4", chunks=chunks, compression="gzip", shuffle=True)
            for start in range(0, images, HDF5_CHUNK):
                rows = np.arange(start, min(images, start + HDF5_CHUNK))
                fresh = x[chosen[rows]]
                fresh[:, 0, 0, 0] = (1 + rows) / TELL  # makes every image unique
                file["X"][start : start + len(rows)] = fresh
            file["y"] = y[chosen]
    return made


def contenders(sources: Sequence[Path], folder: Path, threads: int) -> dict[str, Timed]:
    executor = ThreadExecutor(count=threads)
    opened = open_sources(sources, ELECTRON_PHOTON)
    rows = sum(source.rows for source in opened)
    output = folder / "ours.zarr"
    job = Ingest(
        sources=tuple(sources),
        spec=ELECTRON_PHOTON,
        output=output,
        split=Split.parse("0.7,0.1,0.2"),
        overwrite=True,
    )

    def read_with_h5py() -> float:
        for source in opened:
            with h5py.File(source.path) as file:
                for start in range(0, source.rows, source.block):
                    file["X"][start : start + source.block]
        return rows

    def read_with_ours() -> float:
        executor.run(read_stretch, [(stretch,) for stretch in cut_stretches(opened)], "reading")
        return rows

    def whole_ingest() -> float:
        ingest(job, executor)
        return rows

    def whole_verify() -> float:
        problems = verify(output, sources, executor).problems
        assert not problems, problems
        return rows

    def every_sample(function: Callable[[Path, int, int], object]) -> Callable[[], float]:
        def run() -> float:
            step = 16384
            calls = [(output, start, min(rows, start + step)) for start in range(0, rows, step)]
            executor.run(function, calls, function.__name__)
            return rows

        return run

    def unshuffled(write: Callable[[da.Array, Path], None]) -> Callable[[], float]:
        def run() -> float:
            target = folder / "theirs.zarr"
            files = [h5py.File(source.path) for source in opened]
            blocks = [da.from_array(file["X"], chunks=(4096, -1, -1, -1)) for file in files]
            with dask.config.set(scheduler="threads", num_workers=threads):
                write(da.concatenate(blocks).rechunk((4096, -1, -1, -1)), target)
            for file in files:
                file.close()
            shutil.rmtree(target)
            return rows

        return run

    dims = ("sample", "ieta", "iphi", "channel")
    return {
        REFERENCE: Timed(run=read_with_h5py, note="whole chunks, one thread; the reference"),
        "our reading": Timed(run=read_with_ours, note="the same images, decompressed and checked"),
        "ingest": Timed(run=whole_ingest, note="read, shuffle, write, statistics, digests"),
        "ingest verify": Timed(
            run=whole_verify, note="compares every image with its source and checks the digest of every file"
        ),
        "decode": Timed(run=every_sample(decode), note="decodes the whole store once"),
        "statistics": Timed(run=every_sample(statistics_of), note="statistics of the whole store"),
        "xarray to_zarr": Timed(
            run=unshuffled(
                lambda images, target: xr.Dataset({"image": (dims, images)}).to_zarr(
                    target, zarr_format=3, consolidated=False, encoding={"image": {"chunks": (4096, 32, 32, 2)}}
                )
            ),
            note="chunks of 4096, not shuffled, no statistics",
        ),
        "dask to_zarr": Timed(
            run=unshuffled(lambda images, target: images.to_zarr(str(target))),
            note="chunks of 4096, not shuffled, no statistics",
        ),
    }


def read_stretch(stretch: Stretch) -> None:
    for part in stretch.parts:
        for start in range(part.start, part.stop, part.source.block):
            part.source.read(start, min(part.stop, start + part.source.block))


def decode(path: Path, start: int, stop: int) -> None:
    store = open_store(path)
    reader = open_reader(store.image, store.shards)
    images = np.empty((512, *store.image.shape[1:]), np.float32)
    for first in range(start, stop, 512):
        samples = np.arange(first, min(stop, first + 512))
        reader.read(samples, images[: samples.size])


if __name__ == "__main__":
    main()
