"""The global shuffle of more images than memory holds: compress each sample once, then move only compressed bytes.

`spill` reads a stretch of a source in order and writes runs of compressed samples, sorted by their position in the
store; `assemble_shard` collects the samples of one shard from all runs. A run or shard is complete or missing, so both
steps can be repeated after a crash, and no two calls write the same file.
"""

import io
import itertools
import json
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from store.arrays import Int64Array, UInt8Array
from store.blosc import encode_samples, zero_block
from store.digests import sha256
from store.errors import StoreError
from store.files import is_partial, write_whole
from store.layout import Layout
from store.sources import Source
from store.writer import write_shard

STRETCH_BYTES = 64 << 20
MOST_STRETCHES = 512
ENCODE = 64  # samples compressed in one call: their 512 KiB stay in the processor's cache


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """Consecutive rows of one source, which are read by one call.

    Attributes
    ----------
    number
        Number of the stretch, which is part of the names of its files.
    source
        The source.
    start, stop
        Range of its rows; `start` is a multiple of the source's block.
    """

    number: int
    source: Source
    start: int
    stop: int


def cut_stretches(sources: Sequence[Source]) -> Iterator[tuple[int, Stretch]]:
    """Cut sources into stretches of about equal size: small enough to share between workers, few enough to merge.

    Yields
    ------
    tuple of int and Stretch
        Number of the source in `sources`, and the stretch.
    """
    total = sum(source.rows for source in sources)
    number = 0
    for source_number, source in enumerate(sources):
        rows = max(-(-total // MOST_STRETCHES), STRETCH_BYTES // source.spec.sample_bytes)
        rows = max(1, round(rows / source.block)) * source.block
        for start in range(0, source.rows, rows):
            stop = min(source.rows, start + rows)
            yield source_number, Stretch(number=number, source=source, start=start, stop=stop)
            number += 1


def positions_of_rows(source_file: UInt8Array, source_row: Int64Array, number: int, rows: int) -> Int64Array:
    """Return the position in the store of each row of a source.

    Parameters
    ----------
    source_file, source_row
        (sample,), source number and row of each sample of the store.
    number, rows
        The source's number, and how many rows it has.

    Returns
    -------
    numpy.ndarray
        int64 (rows,), -1 for rows that are not in the store.
    """
    positions = np.full(rows, -1, np.int64)
    samples = np.flatnonzero(source_file == number)
    positions[source_row[samples]] = samples
    return positions


@dataclass(frozen=True, kw_only=True)
class SpilledStretch:
    """What `spill` wrote for a stretch.

    Attributes
    ----------
    runs
        Names of its runs in the spool, without suffix.
    empty
        Number of the stretch's images that go into the store and have no non-zero value.
    """

    runs: tuple[str, ...]
    empty: int


def spill(stretch: Stretch, positions: Int64Array, layout: Layout, spool: Path, held: int) -> SpilledStretch:
    """Compress the rows of a stretch into sorted runs, unless that was done before.

    Parameters
    ----------
    stretch
        What to read.
    positions
        int64 (stop - start,), position of each row in the store, or -1 for rows that are in no split.
    layout
        Codec and sizes.
    spool
        Folder for runs, each ``NAME.run`` with an index ``NAME.npy``; ``NNNNNN.json`` lists the runs of a stretch that
        is finished.
    held
        Compressed bytes to hold before a run is written.
    """
    record = spool / f"{stretch.number:06d}.json"
    finished = _read_record(record)
    if finished and all(file.exists() for run in finished.runs for file in _run_files(spool, run)):
        return finished
    runs: list[str] = []
    pending: list[tuple[int, bytes]] = []
    empty, pending_bytes, zero = 0, 0, zero_block(layout)
    for position, block in _compress(stretch, positions, layout):
        pending.append((position, block))
        pending_bytes += len(block)
        empty += block == zero
        if pending_bytes > held:
            runs.append(_write_run(stretch, pending, spool))
            pending, pending_bytes = [], 0
    runs.append(_write_run(stretch, pending, spool))
    write_whole(record, json.dumps({"runs": runs, "empty": empty}).encode())
    return SpilledStretch(runs=tuple(runs), empty=empty)


def _compress(stretch: Stretch, positions: Int64Array, layout: Layout) -> Iterator[tuple[int, bytes]]:
    """Yield position and compressed image of each row of a stretch that is in the store."""
    source = stretch.source
    for start in range(stretch.start, stretch.stop, source.block):
        images = source.read(start, min(stretch.stop, start + source.block))
        block_positions = positions[start - stretch.start :][: len(images)].tolist()
        for first in range(0, len(images), ENCODE):
            samples = encode_samples(images[first : first + ENCODE], layout)
            pairs = zip(block_positions[first : first + ENCODE], samples, strict=True)
            yield from ((position, sample) for position, sample in pairs if position >= 0)


def _read_record(path: Path) -> SpilledStretch | None:
    """Return what the record of a finished stretch says, or None if there is no record."""
    if not path.exists():
        return None
    record = json.loads(path.read_text())
    return SpilledStretch(runs=tuple(record["runs"]), empty=record["empty"])


def _run_files(spool: Path, run: str) -> tuple[Path, Path]:
    """Return the files of a run's samples and of their index."""
    return spool / f"{run}.run", spool / f"{run}.npy"


def _write_run(stretch: Stretch, samples: list[tuple[int, bytes]], spool: Path) -> str:
    """Write samples sorted by position, and return the name of the run.

    The name is unique, because a call that is repeated on another worker may run beside the first one.
    """
    name = f"{stretch.number:06d}-{uuid.uuid4().hex}"
    samples.sort(key=lambda sample: sample[0])
    index = np.empty((2, len(samples) + 1), np.int64)
    index[0] = [*(position for position, _ in samples), np.iinfo(np.int64).max]
    index[1] = np.cumsum([0, *(len(block) for _, block in samples)])
    samples_file, index_file = _run_files(spool, name)
    with samples_file.open("wb") as file:
        file.writelines(block for _, block in samples)
    content = io.BytesIO()  # numpy's error about a full disk would lack the error number
    np.save(content, index, allow_pickle=False)
    index_file.write_bytes(content.getbuffer())
    return name


def delete_unfinished(spool: Path) -> None:
    """Delete the files of calls of `spill` that did not finish."""
    records = [path for path in spool.glob("*.json") if not is_partial(path)]
    finished = filter(None, map(_read_record, records))
    kept = {*records, *(file for stretch in finished for run in stretch.runs for file in _run_files(spool, run))}
    for file in spool.iterdir():
        if file not in kept:
            file.unlink()


def assemble_shard(shard: int, samples: int, layout: Layout, spool: Path, runs: Sequence[str], path: Path) -> str:
    """Write one shard from the samples of all runs, unless that was done before, and return its sha256.

    Parameters
    ----------
    shard
        Number of the shard.
    samples
        Number of samples in the store.
    layout
        Codec and sizes.
    spool
        Folder that `spill` wrote to.
    runs
        Names of all runs.
    path
        File to write.

    Raises
    ------
    StoreError
        If a sample of the shard is in no run.
    """
    if path.exists():
        return sha256(path)
    start = shard * layout.shard
    stop = min(samples, start + layout.shard)
    blocks = [b""] * (stop - start)
    for run in runs:
        samples_file, index_file = _run_files(spool, run)
        index = np.load(index_file, mmap_mode="r", allow_pickle=False)
        first, last = np.searchsorted(index[0], [start, stop]).tolist()
        if first == last:
            continue
        offsets = index[1, first : last + 1]
        with samples_file.open("rb") as file:
            file.seek(int(offsets[0]))
            data = file.read(int(offsets[-1] - offsets[0]))
        cuts = (offsets - offsets[0]).tolist()
        positions = index[0, first:last].tolist()
        for position, (begin, end) in zip(positions, itertools.pairwise(cuts), strict=True):
            blocks[position - start] = data[begin:end]
    if b"" in blocks:
        raise StoreError(f"{spool}: sample {start + blocks.index(b'')} of the store is in no run")
    return write_shard(path, blocks, layout)
