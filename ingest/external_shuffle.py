"""The global shuffle, out of core: compress each sample once, move only compressed bytes.

`spill` reads a stretch of a source in order and leaves runs of compressed samples sorted by their position in the
store; `assemble_shard` picks from every run what belongs to one shard. A run or shard is there whole or not at all, so
both can be repeated after a crash, and no two calls write the same file.
"""

import io
import json
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from store.blosc import encode_samples, zero_block
from store.digests import sha256
from store.errors import StoreError
from store.files import write_whole
from store.layout import Layout
from store.sources.source import Source
from store.writer import write_shard

STRETCH_BYTES = 64 << 20
MOST_STRETCHES = 512
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


def cut_stretches(sources: Sequence[Source]) -> Iterator[tuple[int, Stretch]]:
    """Cut sources into about equal stretches of whole blocks: small enough to share out, few enough to merge.

    Yields
    ------
    tuple of int and Stretch
        The source's position in `sources`, and the stretch.
    """
    total = sum(source.rows for source in sources)
    number = 0
    for file, source in enumerate(sources):
        rows = max(-(-total // MOST_STRETCHES), STRETCH_BYTES // source.spec.sample_bytes)
        rows = max(1, round(rows / source.block)) * source.block
        for start in range(0, source.rows, rows):
            yield file, Stretch(number=number, source=source, start=start, stop=min(source.rows, start + rows))
            number += 1


@dataclass(frozen=True, kw_only=True)
class Spilled:
    """What `spill` left of a stretch.

    Attributes
    ----------
    runs
        Names of its runs in the spool, without suffix.
    empty
        Images without any non-zero value, among those that go into the store.
    """

    runs: tuple[str, ...]
    empty: int


def spill(stretch: Stretch, position: npt.NDArray[np.int64], layout: Layout, spool: Path, limit: int) -> Spilled:
    """Compress the rows of a stretch into runs, unless that was done before.

    Parameters
    ----------
    stretch
        What to read.
    position
        int64 (stop - start,), place of each row in the store, or -1 for rows that no split takes.
    layout
        Codec and sizes.
    spool
        Folder for runs, each ``NAME.run`` with an index ``NAME.npy``; ``NNNNNN.json`` lists them once all are there.
    limit
        Compressed bytes held before a run is written.
    """
    record = spool / f"{stretch.number:06d}.json"
    if record.exists():
        done = json.loads(record.read_text())
        if all(file.exists() for run in done["runs"] for file in _files(spool, run)):
            return Spilled(runs=tuple(done["runs"]), empty=done["empty"])
    runs: list[str] = []
    empty, held, zero = 0, 0, zero_block(layout)
    pending: list[tuple[int, bytes]] = []
    source = stretch.source
    for start in range(stretch.start, stretch.stop, source.block):
        images = source.read(start, min(stretch.stop, start + source.block))
        places = position[start - stretch.start :][: len(images)].tolist()
        for at in range(0, len(images), ENCODE):
            taken = [
                (place, block)
                for place, block in zip(places[at:], encode_samples(images[at : at + ENCODE], layout), strict=False)
                if place >= 0
            ]
            empty += sum(block == zero for _, block in taken)
            held += sum(len(block) for _, block in taken)
            pending += taken
            if held > limit:
                runs.append(_write_run(stretch, pending, spool))
                held, pending = 0, []
    runs.append(_write_run(stretch, pending, spool))
    write_whole(record, json.dumps({"runs": runs, "empty": empty}).encode())
    return Spilled(runs=tuple(runs), empty=empty)


def _files(spool: Path, run: str) -> tuple[Path, Path]:
    """Return where a run's samples and their index are."""
    return spool / f"{run}.run", spool / f"{run}.npy"


def _write_run(stretch: Stretch, pending: list[tuple[int, bytes]], spool: Path) -> str:
    """Write samples sorted by place, under a name of their own: a call repeated elsewhere must not meet this one."""
    name = f"{stretch.number:06d}-{uuid.uuid4().hex}"
    pending.sort(key=lambda item: item[0])
    index = np.empty((2, len(pending) + 1), np.int64)
    index[0] = [*(place for place, _ in pending), np.iinfo(np.int64).max]
    index[1] = np.cumsum([0, *(len(block) for _, block in pending)])
    samples, index_file = _files(spool, name)
    with samples.open("wb") as file:
        file.writelines(block for _, block in pending)
    content = io.BytesIO()  # straight to the file, a full disk would be an error without its number
    np.save(content, index, allow_pickle=False)
    index_file.write_bytes(content.getbuffer())
    return name


def discard(spool: Path) -> None:
    """Delete what calls of `spill` that did not finish have left."""
    finished = [json.loads(record.read_text())["runs"] for record in spool.glob("*.json")]
    kept = {file for runs in finished for run in runs for file in _files(spool, run)}
    for file in spool.iterdir():
        if file.suffix != ".json" and file not in kept:
            file.unlink()


def assemble_shard(shard: int, samples: int, layout: Layout, spool: Path, runs: Sequence[str], path: Path) -> str:
    """Assemble one shard from all runs, unless that was done before, and return its sha256.

    Parameters
    ----------
    shard
        Number of the shard.
    samples
        Samples in the store.
    layout
        Codec and sizes.
    spool
        Folder that `spill` filled.
    runs
        Names of all runs.
    path
        File to write.

    Raises
    ------
    StoreError
        If the runs lack a sample of the shard.
    """
    if path.exists():
        return sha256(path)
    start = shard * layout.shard
    stop = min(samples, start + layout.shard)
    blocks = [b""] * (stop - start)
    for run in runs:
        samples_file, index_file = _files(spool, run)
        index = np.load(index_file, mmap_mode="r", allow_pickle=False)
        first, last = np.searchsorted(index[0], [start, stop]).tolist()
        if first == last:
            continue
        offsets = index[1, first : last + 1]
        with samples_file.open("rb") as file:
            file.seek(int(offsets[0]))
            data = file.read(int(offsets[-1] - offsets[0]))
        cuts = (offsets - offsets[0]).tolist()
        for at, place in enumerate(index[0, first:last].tolist()):
            blocks[place - start] = data[cuts[at] : cuts[at + 1]]
    if b"" in blocks:
        raise StoreError(f"{spool}: sample {start + blocks.index(b'')} of the store is in no run")
    return write_shard(path, blocks, layout)
