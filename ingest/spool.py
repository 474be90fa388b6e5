"""The spool of an ingest: runs of compressed samples, and records of the work that is finished.

Everything is on the disk before a record says that it exists, and is compared with its digest before it is used.
"""

import functools
import itertools
import os
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np

from ingest.records import read_record, write_record
from store import files
from store.errors import StoreError

INDEX = np.dtype("<i8")
PIECE = 1 << 20  # bytes of a run that are checked at once


@dataclass(frozen=True, kw_only=True)
class Run:
    """A file of samples, sorted by their position in the store.

    The file begins with an index, int64 (3, samples + 1): position of each sample in the store; offset of each sample
    in the file; CRC-32C of all samples before each sample. The last column ends the lists. The samples follow.

    Attributes
    ----------
    name
        Name of the file without its suffix.
    samples
        Number of samples.
    crc32c
        CRC-32C of the index.
    """

    name: str
    samples: int
    crc32c: int


@dataclass(frozen=True, kw_only=True)
class Spool:
    """The folder of runs and records.

    Attributes
    ----------
    folder
        The folder: ``NAME.run`` is a run, ``NAME.json`` a record.
    ingest
        Identifies the ingest; records of any other ingest do not count.
    """

    folder: Path
    ingest: str

    def read_record(self, name: str) -> dict[str, Any] | None:
        """Return what a record says; see `ingest.records.read_record`."""
        return read_record(self.folder / f"{name}.json", self.ingest)

    def write_record(self, name: str, content: dict[str, Any]) -> None:
        """Write a record; see `ingest.records.write_record`."""
        write_record(self.folder / f"{name}.json", content, self.ingest)

    def write_run(self, prefix: str, samples: list[tuple[int, bytes]]) -> Run:
        """Sort position and compressed image of samples by position, and write them to a new run, synced to disk.

        Its name begins with `prefix` and is unique, because a call that is repeated on another worker may run beside
        the first one.
        """
        samples.sort(key=lambda sample: sample[0])
        blocks = [block for _, block in samples]
        index = np.empty((3, len(samples) + 1), INDEX)
        index[0] = [*(position for position, _ in samples), np.iinfo(np.int64).max]
        index[1] = np.cumsum([index.nbytes, *map(len, blocks)])
        index[2] = [*itertools.accumulate(blocks, google_crc32c.extend, initial=0)]
        packed = index.tobytes()
        run = Run(name=f"{prefix}-{uuid.uuid4().hex}", samples=len(samples), crc32c=google_crc32c.value(packed))
        with self._path(run).open("wb") as file:
            file.write(packed)
            file.writelines(blocks)
            file.flush()
            os.fsync(file.fileno())
        files.sync_folder(self.folder)
        return run

    def is_whole(self, run: Run) -> bool:
        """Return whether a run is as it was written; this reads the whole file."""
        path = self._path(run)
        try:
            if not files.is_regular(path):
                return False
            with path.open("rb") as file:
                packed = file.read(3 * (run.samples + 1) * INDEX.itemsize)
                crc = functools.reduce(google_crc32c.extend, iter(lambda: file.read(PIECE), b""), 0)
        except OSError:
            return False
        return google_crc32c.value(packed) == run.crc32c and crc == int(np.frombuffer(packed, INDEX)[-1])

    def read_run(self, run: Run, start: int, stop: int) -> Iterator[tuple[int, bytes]]:
        """Yield position and compressed image of the samples of a run with positions in [start, stop).

        Raises
        ------
        StoreError
            If they are not as they were written.
        """
        path = self._path(run)
        try:
            index = np.memmap(path, INDEX, "r", shape=(3, run.samples + 1))
            first, last = np.searchsorted(index[0], [start, stop]).tolist()
            positions, offsets = index[0, first:last].tolist(), index[1, first : last + 1].tolist()
            before, after = index[2, [first, last]].tolist()
            with path.open("rb") as file:
                file.seek(offsets[0])
                data = file.read(offsets[-1] - offsets[0])
            whole = google_crc32c.extend(before, data) == after
        except (OSError, ValueError):
            whole = False
        if not whole:
            raise StoreError(f"{path}: was damaged after it was written; run this again, and it is written anew")
        for position, (begin, end) in zip(positions, itertools.pairwise(offsets), strict=True):
            yield position, data[begin - offsets[0] : end - offsets[0]]

    def delete(self, runs: Sequence[Run]) -> None:
        """Delete runs, whatever has their names now."""
        for run in runs:
            files.remove(self._path(run))

    def delete_unfinished(self) -> None:
        """Delete everything that no record of this ingest stands for."""
        kept = set()
        for path in self.folder.glob("*.json"):
            record = self.read_record(path.stem)
            if record is not None:
                kept |= {path, *(self._path(Run(**run)) for run in record.get("runs", ()))}
        for path in self.folder.iterdir():
            if path not in kept:
                files.remove(path)

    def _path(self, run: Run) -> Path:
        return self.folder / f"{run.name}.run"
