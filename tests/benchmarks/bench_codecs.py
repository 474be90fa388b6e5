"""Size and speed of codecs, block and chunk sizes: ``python -m tests.benchmarks.bench_codecs [FILE.hdf5 ...]``.

Without files it takes the bundled Geant4 sample. It uses one thread; rates are MB of decoded images per second.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numcodecs
import numpy as np
import rich.box
from rich.console import Console
from rich.table import Table

from tests.benchmarks.bench_ingest import SAMPLE

# A typesize above 16 keeps Blosc from splitting or enlarging blocks; 32 divides the 8,192 bytes of a shower.
ONE_SAMPLE = {"typesize": 32, "shuffle": 0, "blocksize": 8192}
CODECS: dict[str, dict[str, Any]] = {
    "blosc lz4 5, one sample per block": {"cname": "lz4", "clevel": 5, **ONE_SAMPLE},
    "blosc lz4 9, one sample per block": {"cname": "lz4", "clevel": 9, **ONE_SAMPLE},
    "blosc lz4hc 9, one sample per block": {"cname": "lz4hc", "clevel": 9, **ONE_SAMPLE},
    "blosc zstd 3, one sample per block": {"cname": "zstd", "clevel": 3, **ONE_SAMPLE},
    "blosc lz4 5": {"cname": "lz4", "clevel": 5, "shuffle": 0},
    "blosc lz4 5, byte shuffle": {"cname": "lz4", "clevel": 5, "shuffle": 1, "typesize": 4},
    "blosc lz4 5, bit shuffle": {"cname": "lz4", "clevel": 5, "shuffle": 2, "typesize": 4},
    "blosc zstd 3": {"cname": "zstd", "clevel": 3, "shuffle": 0},
}
CHUNKS = (16, 64, 256)


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="*", type=Path)
    parser.add_argument("--images", type=int, default=5000, help="images read from each file (default %(default)s)")
    parser.add_argument(
        "--rounds", type=int, default=5, help="the fastest of this many rounds counts (default %(default)s)"
    )
    options = parser.parse_args(words)
    paths = options.file or sorted(SAMPLE.glob("*.hdf5"))
    images = np.concatenate([h5py.File(path)["X"][: options.images] for path in paths])
    images = images[np.random.default_rng(0).permutation(len(images))]
    table = Table(title="one thread", box=rich.box.SIMPLE_HEAD, title_justify="left")
    table.add_column("codec")
    for heading in ("chunk", "bytes per sample", "encode MB/s", "decode MB/s"):
        table.add_column(heading, justify="right")
    for name, arguments in CODECS.items():
        for chunk in CHUNKS:
            table.add_row(name, str(chunk), *measure(images, numcodecs.Blosc(**arguments), chunk, options.rounds))
    console = Console()
    console.width = max(console.width, 100)
    console.print(table)


def measure(images: np.ndarray, codec: numcodecs.Blosc, chunk: int, rounds: int) -> tuple[str, str, str]:
    parts = [np.ascontiguousarray(images[i : i + chunk]) for i in range(0, len(images), chunk)]
    packed = [codec.encode(part) for part in parts]
    out = np.empty_like(parts[0])

    def encode() -> None:
        for part in parts:
            codec.encode(part)

    def decode() -> None:
        for part, data in zip(parts, packed, strict=True):
            codec.decode(data, out[: len(part)])

    megabytes = images.nbytes / 1e6
    size = sum(map(len, packed)) / len(images)
    return f"{size:.0f}", f"{megabytes / best(encode, rounds):,.0f}", f"{megabytes / best(decode, rounds):,.0f}"


def best(function: Callable[[], None], rounds: int) -> float:
    seconds = []
    for _ in range(rounds):
        began = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


if __name__ == "__main__":
    numcodecs.blosc.use_threads = False
    main()
