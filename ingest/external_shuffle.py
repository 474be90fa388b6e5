"""The global shuffle of more images than memory holds: compress each sample once, then move only compressed bytes.

`spill` reads a stretch of a source in order and writes runs of compressed samples, sorted by their position in the
store; `assemble_shard` collects the samples of one shard from all runs. What a call has finished is recorded with its
digest in the spool. After a crash, both steps are called again: they check what is recorded, and do only the rest.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ingest.places import digest, open_place
from ingest.spool import Run, Spool
from store.arrays import Int64Array, UnsignedArray
from store.blosc import GROUP, Blocks, encode_samples, zero_block
from store.errors import StoreError
from store.layout import Layout, shard_path
from store.locations import Location
from store.sources import Source
from store.sources.copies import here
from store.writer import pack_shard

STRETCH_BYTES = 64 << 20
MOST_STRETCHES = 512
PLACED = 1 << 20  # samples whose positions are computed at once


@dataclass(frozen=True, kw_only=True)
class Part:
    """Consecutive rows of one source.

    Attributes
    ----------
    number
        Number of the source in the list that was cut.
    source
        The source.
    start, stop
        Range of its rows; `start` is a multiple of the source's block.
    """

    number: int
    source: Source
    start: int
    stop: int

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self.stop - self.start


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """Rows that are read by one call: consecutive rows of a source, or of several small ones.

    Attributes
    ----------
    number
        Number of the stretch, which is part of the names of its files.
    parts
        Its rows, in the order of the sources.
    """

    number: int
    parts: tuple[Part, ...]

    def select(self, positions: Sequence[Int64Array]) -> Int64Array:
        """Return the positions of its rows, int64 (rows,), out of those of all rows of each source."""
        return np.concatenate([positions[part.number][part.start : part.stop] for part in self.parts])


def cut_stretches(sources: Sequence[Source]) -> Iterator[Stretch]:
    """Cut sources into stretches of about equal size: small enough to share between workers, few enough to merge.

    Yields
    ------
    Stretch
        All rows of all sources, in order.
    """
    total = sum(source.rows for source in sources)
    number, parts, filled = 0, list[Part](), 0
    for source_number, source in enumerate(sources):
        limit = max(-(-total // MOST_STRETCHES), STRETCH_BYTES // source.spec.sample_bytes)
        rows = max(1, round(limit / source.block)) * source.block
        for start in range(0, source.rows, rows):
            part = Part(number=source_number, source=source, start=start, stop=min(source.rows, start + rows))
            if parts and filled + part.rows > limit:
                yield Stretch(number=number, parts=tuple(parts))
                number, parts, filled = number + 1, [], 0
            parts.append(part)
            filled += part.rows
    yield Stretch(number=number, parts=tuple(parts))


def positions_of_rows(source_file: UnsignedArray, source_row: Int64Array, rows: Sequence[int]) -> list[Int64Array]:
    """Return the position in the store of each row of each source.

    Parameters
    ----------
    source_file, source_row
        (sample,), source number and row of each sample of the store.
    rows
        How many rows each source has, by its number.

    Returns
    -------
    list of numpy.ndarray
        int64 (rows,) for each source, -1 for rows that are not in the store.
    """
    first = np.cumsum([0, *rows])
    positions = np.full(first[-1], -1, np.int64)
    for start in range(0, len(source_row), PLACED):
        samples = slice(start, start + PLACED)
        places = first[source_file[samples]] + source_row[samples]
        positions[places] = np.arange(start, start + places.size)
    return np.split(positions, first[1:-1])


@dataclass(frozen=True, kw_only=True)
class SpilledStretch:
    """What `spill` wrote for a stretch.

    Attributes
    ----------
    runs
        Its runs in the spool.
    empty
        Number of the stretch's images that go into the store and have no non-zero value.
    stored_bytes
        Size of all images in the runs, compressed.
    """

    runs: tuple[Run, ...]
    empty: int
    stored_bytes: int


def spill(stretch: Stretch, positions: Int64Array, layout: Layout, spool: Spool, held: int) -> SpilledStretch:
    """Compress the rows of a stretch into sorted runs, unless that was done before.

    Parameters
    ----------
    stretch
        What to read.
    positions
        int64 (rows,), position of each row in the store, or -1 for rows that are in no split.
    layout
        Codec and sizes.
    spool
        Receives the runs, and a record of the stretch once it is finished.
    held
        Compressed bytes to hold before a run is written.
    """
    rows = _identify_rows(stretch)
    finished = _find_finished(stretch, rows, spool)
    if finished:
        return finished
    name = _record_name(stretch)
    runs: list[Run] = []
    pending: list[tuple[Int64Array, Blocks]] = []
    empty, stored_bytes, pending_bytes, zero = 0, 0, 0, zero_block(layout)
    for position, blocks in _compress(stretch, positions, layout):
        pending.append((position, blocks))
        size = int(blocks.size.sum())
        pending_bytes += size
        stored_bytes += size
        empty += blocks.count(zero)
        if pending_bytes > held:
            runs.append(_write_run(name, pending, spool))
            pending, pending_bytes = [], 0
    runs.append(_write_run(name, pending, spool))
    if rows and rows == _identify_rows(stretch):
        content = {"runs": [asdict(run) for run in runs], "empty": empty, "stored_bytes": stored_bytes}
        spool.write_record(name, {"rows": rows, **content})
    return SpilledStretch(runs=tuple(runs), empty=empty, stored_bytes=stored_bytes)


def _write_run(name: str, pending: Sequence[tuple[Int64Array, Blocks]], spool: Spool) -> Run:
    position = np.concatenate([np.zeros(0, np.int64), *(position for position, _ in pending)])
    return spool.write_run(name, position, Blocks.join(blocks for _, blocks in pending))


def _record_name(stretch: Stretch) -> str:
    return f"{stretch.number:06d}"


def _identify_rows(stretch: Stretch) -> list[int]:
    """Return each range of rows, with size and modification time of its files.

    The ingest compares sources with their digests before and after it reads them. If it is interrupted between, a
    source that was changed meanwhile, and changed back later, is noticed only by these times.
    """
    values: list[int] = []
    for part in stretch.parts:
        if part.source.url is not None:
            values += [part.start, part.stop, part.source.stamp]
            continue
        try:
            status = [file.stat() for file in (part.source.path, *part.source.other_files)]
        except OSError:
            return []  # reading the source fails, too, and says why
        values += [part.start, part.stop, *(value for file in status for value in (file.st_size, file.st_mtime_ns))]
    return values


def _find_finished(stretch: Stretch, rows: list[int], spool: Spool) -> SpilledStretch | None:
    """Return what an earlier call wrote for a stretch, or None, after deleting it, if it cannot be used."""
    record = spool.read_record(_record_name(stretch))
    if record is None:
        return None
    runs = tuple(Run(**run) for run in record["runs"])
    if record["rows"] == rows and all(map(spool.is_whole, runs)):
        return SpilledStretch(runs=runs, empty=record["empty"], stored_bytes=record["stored_bytes"])
    spool.delete(runs)
    return None


def _compress(stretch: Stretch, positions: Int64Array, layout: Layout) -> Iterator[tuple[Int64Array, Blocks]]:
    """Yield position and compressed image of the rows of a stretch that are in the store, some at a time."""
    start = 0
    for part in stretch.parts:
        places = positions[start : start + part.rows]
        start += part.rows
        first = 0
        for images in here(part.source).pieces(part.start, part.stop) if (places >= 0).any() else ():
            wanted = places[first : first + len(images)]
            first += len(images)
            whole = (wanted >= 0).all()
            for offset in (0,) if whole else range(0, len(images), GROUP):  # what is compressed together stays so
                rows = slice(offset, None if whole else offset + GROUP)
                kept = wanted[rows] >= 0
                if kept.any():
                    yield wanted[rows][kept], encode_samples(images[rows] if whole else images[rows][kept], layout)


def assemble_shard(shard: int, samples: int, layout: Layout, spool: Spool, runs: Sequence[Run], root: Location) -> str:
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
        Has the runs, and receives a record of the shard.
    runs
        All runs.
    root
        Folder or URL of the store.

    Raises
    ------
    StoreError
        If a run is damaged, or a sample of the shard is in no run.
    """
    record_name, name, place = f"shard-{shard:06d}", shard_path(Path(), shard).as_posix(), open_place(root)
    record = spool.read_record(record_name)
    if record is not None and digest(place, name) == record["sha256"]:
        return str(record["sha256"])
    start = shard * layout.shard
    stop = min(samples, start + layout.shard)
    blocks = spool.read_runs(runs, start, stop)
    if not blocks.size.all():
        missing = start + int(np.argmin(blocks.size))
        raise StoreError(f"{spool.place}: sample {missing} of the store is in no run")
    content = pack_shard(blocks, layout)
    computed = hashlib.sha256(content).hexdigest()
    spool.write_record(record_name, {"sha256": computed})  # first, so that no shard is without its digest
    place.write(name, content)
    return computed
