"""The global shuffle, out of core: compress each sample once, move only compressed bytes.

`scatter` reads a stretch of a source in order and leaves runs of compressed samples sorted by their position in the
store; `gather` picks from every run what belongs to one shard. A run or shard is there whole or not at all, so both
can be repeated after a crash, and no two calls write the same file.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ingest.sources import Source
from store.blosc import encode_samples
from store.errors import StoreError
from store.layout import Layout
from store.writer import write_shard

ENCODE = 64  # samples compressed in one call: their 512 KiB stay in the processor's cache


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """Some consecutive rows of one source.

    Attributes
    ----------
    number
        Names the stretch's files.
    source
        Where the rows are.
    start, stop
        Range of rows, from a multiple of the source's block.
    """

    number: int
    source: Source
    start: int
    stop: int


def scatter(stretch: Stretch, position: npt.NDArray[np.int64], layout: Layout, spool: Path, limit: int) -> None:
    """Compress the rows of a stretch into runs.

    Parameters
    ----------
    stretch
        What to read.
    position
        int64 (stop - start,), place of each row in the store, or -1 for rows that no split takes.
    layout
        Codec and sizes.
    spool
        Folder for runs: ``NNNNNN.R.run`` with an index ``NNNNNN.R.npy``, and ``NNNNNN.json`` once all are there.
    limit
        Compressed bytes held before a run is written.
    """
    done = spool / f"{stretch.number:06d}.json"
    if done.exists():
        return
    runs, held = 0, 0
    pending: list[tuple[int, bytes]] = []
    source = stretch.source
    for start in range(stretch.start, stretch.stop, source.block):
        images = source.read(start, min(stretch.stop, start + source.block))
        places = position[start - stretch.start :][: len(images)].tolist()
        for at in range(0, len(images), ENCODE):
            blocks = encode_samples(images[at : at + ENCODE], layout)
            pending += [(place, block) for place, block in zip(places[at:], blocks, strict=False) if place >= 0]
            held += sum(map(len, blocks))
        if held > limit:
            _write_run(spool / f"{stretch.number:06d}.{runs}", pending)
            runs, held, pending = runs + 1, 0, []
    _write_run(spool / f"{stretch.number:06d}.{runs}", pending)
    partial = done.with_suffix(".partial")
    partial.write_text(json.dumps({"runs": runs + 1}))
    partial.replace(done)


def _write_run(name: Path, pending: list[tuple[int, bytes]]) -> None:
    pending.sort(key=lambda item: item[0])
    sizes = [len(block) for _, block in pending]
    index = np.empty((2, len(pending) + 1), np.int64)
    index[0] = [*(place for place, _ in pending), np.iinfo(np.int64).max]
    index[1] = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
    with name.with_suffix(name.suffix + ".run").open("wb") as file:
        file.writelines(block for _, block in pending)
    np.save(name.with_suffix(name.suffix + ".npy"), index, allow_pickle=False)


def gather(shard: int, samples: int, layout: Layout, spool: Path, path: Path) -> str:
    """Assemble one shard from all runs and return its sha256.

    Parameters
    ----------
    shard
        Number of the shard.
    samples
        Samples in the store.
    layout
        Codec and sizes.
    spool
        Folder that `scatter` filled.
    path
        File to write.

    Raises
    ------
    StoreError
        If the runs lack a sample of the shard.
    """
    start = shard * layout.shard
    stop = min(samples, start + layout.shard)
    blocks = [b""] * (stop - start)
    for index_path in sorted(spool.glob("*.npy")):
        index = np.load(index_path, mmap_mode="r", allow_pickle=False)
        first, last = np.searchsorted(index[0], [start, stop]).tolist()
        if first == last:
            continue
        offsets = index[1, first : last + 1]
        with index_path.with_suffix(".run").open("rb") as file:
            file.seek(int(offsets[0]))
            data = file.read(int(offsets[-1] - offsets[0]))
        cuts = (offsets - offsets[0]).tolist()
        for at, place in enumerate(index[0, first:last].tolist()):
            blocks[place - start] = data[cuts[at] : cuts[at + 1]]
    if b"" in blocks:
        raise StoreError(f"{spool}: sample {start + blocks.index(b'')} of the store is in no run")
    return write_shard(path, blocks, layout)
