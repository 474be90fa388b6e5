"""The spool of an ingest: runs of compressed samples, and records of the work that is finished.

It is in a folder, or at a URL if the workers of a cluster share no disk. Everything is in its place before a record
says that it exists, and is compared with its checksums before it is used.
"""

import functools
import itertools
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import google_crc32c
import numpy as np

from ingest.places import Files, open_place
from ingest.records import read_record, write_record
from store.arrays import Int64Array
from store.blosc import Blocks
from store.compiled.blocks import find_blocks, pack_groups
from store.errors import RemoteError, StoreError
from store.locations import Location, Url

INDEX = np.dtype("<i8")
GROUP = 32  # samples that are read and checked together
CHECKED = 8 << 20  # bytes of a run that are checked at once
HEADERS = 1 << 14  # of runs, kept in memory by each process
REQUESTS = 16  # at a time, to read or delete at a URL


@dataclass(frozen=True, kw_only=True)
class Run:
    """A file of samples, sorted by their position in the store.

    The file has groups of samples. It begins with a header, int64 (3, groups + 1): position in the store of the first
    sample of each group; offset of each group in the file; CRC-32C of each group. The last column ends the lists. A
    group begins with int64 (2, n): position and size of each of its samples, which follow.

    Attributes
    ----------
    name
        Name of the file without its suffix.
    samples
        Number of samples; each group has `GROUP` of them, and the last one what is left.
    crc32c
        CRC-32C of the header.
    """

    name: str
    samples: int
    crc32c: int

    @property
    def groups(self) -> int:
        """Number of groups."""
        return -(-self.samples // GROUP)

    @property
    def file(self) -> str:
        """Name of the file."""
        return f"{self.name}.run"


@dataclass(frozen=True, kw_only=True)
class Spool:
    """The place of runs and records.

    Attributes
    ----------
    place
        Folder or URL: ``NAME.run`` in it is a run, ``NAME.json`` a record.
    ingest
        Identifies the ingest; records of any other ingest do not count.
    """

    place: Location
    ingest: str

    def read_record(self, name: str) -> dict[str, Any] | None:
        """Return what a record says; see `ingest.records.read_record`."""
        return read_record(self.place / f"{name}.json", self.ingest)

    def write_record(self, name: str, content: dict[str, Any]) -> None:
        """Write a record; see `ingest.records.write_record`."""
        write_record(self.place / f"{name}.json", content, self.ingest)

    def write_run(self, prefix: str, position: Int64Array, blocks: Blocks) -> Run:
        """Sort samples by their position in the store, and write them to a new run.

        Its name begins with `prefix` and is unique, because a call that is repeated on another worker may run beside
        the first one.

        Parameters
        ----------
        prefix
            Begin of the name.
        position
            int64 (n,), position of each sample.
        blocks
            The compressed samples.
        """
        ends = np.empty(-(-len(blocks) // GROUP), np.int64)
        header = np.empty((3, ends.size + 1), INDEX)
        content = np.empty(header.nbytes + 2 * INDEX.itemsize * len(blocks) + int(blocks.size.sum()), np.uint8)
        order, groups = np.argsort(position), content[header.nbytes :]
        pack_groups(position, blocks.address, blocks.size, order, GROUP, groups.ctypes.data, ends)
        starts = np.append(0, ends)
        header[0] = np.append(position[order[::GROUP]], np.iinfo(np.int64).max)
        header[1] = header.nbytes + starts
        header[2] = [*_checksums(groups.data, starts), 0]
        packed = header.tobytes()
        content[: header.nbytes] = np.frombuffer(packed, np.uint8)
        run = Run(name=f"{prefix}-{uuid.uuid4().hex}", samples=len(blocks), crc32c=google_crc32c.value(packed))
        self._files.write(run.file, content.data)
        return run

    def is_whole(self, run: Run) -> bool:
        """Return whether a run is as it was written; this reads the whole file."""
        try:
            info = self._files.info(run.file)
            if info is None:
                return False
            header = _read_header.__wrapped__(self.place, run)  # as it is now
            if info.size != header[1, -1]:
                return False
            step = max(1, CHECKED * run.groups // info.size)
            for first in range(0, run.groups, step):
                _read_groups(self._files, run, header, first, min(run.groups, first + step))
        except RemoteError:
            raise
        except (OSError, ValueError):
            return False
        return True

    def read_runs(self, runs: Sequence[Run], start: int, stop: int) -> Blocks:
        """Return the compressed samples with positions [start, stop), in order; those in no run have size 0.

        From a URL, many runs are read at once.

        Raises
        ------
        StoreError
            If they are not as they were written.
        RemoteError
            If a server does not answer, or refuses.
        """
        address, size = np.zeros((2, stop - start), np.int64)
        memory = []
        with ThreadPoolExecutor(REQUESTS) if isinstance(self.place, Url) else nullcontext() as pool:
            read = functools.partial(self._read_run, start=start, stop=stop)
            for samples, data in pool.map(read, runs) if pool else map(read, runs):
                groups = np.frombuffer(data, np.uint8)
                find_blocks(groups.ctypes.data, samples, GROUP, start, address, size)
                memory.append(groups)
        return Blocks(address=address, size=size, memory=tuple(memory))

    def _read_run(self, run: Run, start: int, stop: int) -> tuple[int, bytes]:
        """Return the groups of a run that have samples with positions in [start, stop), and how many samples."""
        try:
            header = _read_header(self.place, run)
            first = max(0, int(np.searchsorted(header[0, :-1], start, "right")) - 1)
            last = int(np.searchsorted(header[0, :-1], stop))
            data = _read_groups(self._files, run, header, first, last)
        except RemoteError:
            raise
        except (OSError, ValueError):
            raise StoreError(
                f"{self.place / run.file}: was damaged after it was written; run this again, and it is written anew"
            ) from None
        return max(0, min(run.samples, last * GROUP) - first * GROUP), data

    def delete(self, runs: Sequence[Run]) -> None:
        """Delete runs, whatever has their names now."""
        for run in runs:
            self._files.delete(run.file)

    def delete_unfinished(self) -> None:
        """Delete everything that no record of this ingest stands for."""
        names = list(self._files.list())
        records = [name.removesuffix(".json") for name in names if name.endswith(".json")]
        with ThreadPoolExecutor(REQUESTS) as pool:
            kept = set[str]()
            for name, record in zip(records, pool.map(self.read_record, records), strict=True):
                if record is not None:
                    kept |= {f"{name}.json", *(Run(**run).file for run in record.get("runs", ()))}
            list(pool.map(self._files.delete, (name for name in names if name not in kept)))

    @functools.cached_property
    def _files(self) -> Files:
        return open_place(self.place)


def _checksums(data: bytes | memoryview, offsets: Int64Array) -> list[int]:
    """Return the CRC-32C of each part of some data, from each offset to the next."""
    return [google_crc32c.value(bytes(data[begin:end])) for begin, end in itertools.pairwise(offsets.tolist())]


@functools.lru_cache(maxsize=HEADERS)
def _read_header(place: Location, run: Run) -> Int64Array:
    """Return the header of a run, int64 (3, groups + 1); every shard needs a part of every run.

    Raises
    ------
    OSError, ValueError
        If it is not as it was written.
    """
    packed = open_place(place).read(run.file, 0, 3 * (run.groups + 1) * INDEX.itemsize)
    if google_crc32c.value(packed) != run.crc32c:
        raise ValueError
    return np.frombuffer(packed, INDEX).reshape(3, -1)


def _read_groups(files: Files, run: Run, header: Int64Array, first: int, last: int) -> bytes:
    """Return the groups [first, last) of a run; the errors are those of `_read_header`."""
    if first >= last:
        return b""
    offsets = header[1, first : last + 1]
    data = files.read(run.file, int(offsets[0]), int(offsets[-1]))
    if _checksums(data, offsets - offsets[0]) != header[2, first:last].tolist():
        raise ValueError
    return data
