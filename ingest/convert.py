"""The whole ingest: sources in, one complete store out, or none."""

import fcntl
import hashlib
import importlib.metadata
import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from ingest.run_tasks import Workers
from ingest.shuffle import Stretch, gather, scatter
from ingest.sources import Source, open_sources, sha256
from ingest.split import Split, arrange
from ingest.statistics import write_statistics
from store.errors import ConfigError, SourceError, StateError, StoreError
from store.layout import Layout, shard_path
from store.schema import Description
from store.writer import SampleTable, create_image, publish, write_tables

STRETCH_BYTES = 64 << 20
MOST_STRETCHES = 512
LEAST_MEMORY = 256 << 20


@dataclass(frozen=True, kw_only=True)
class Ingest:
    """What to ingest, and how.

    Attributes
    ----------
    sources
        Source files, in the order that gives them their numbers.
    description
        The data set they hold.
    output
        Folder of the store to make.
    split
        How to divide the samples.
    seed
        Chooses the shuffle.
    memory
        Bound on the compressed samples held, in bytes.
    overwrite
        Replace a store that is already there.
    """

    sources: tuple[Path, ...]
    description: Description
    output: Path
    split: Split
    seed: int = 0
    memory: int = 1 << 30
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.memory < LEAST_MEMORY:
            raise ConfigError(f"memory={self.memory} is below {LEAST_MEMORY} bytes")
        if self.seed < 0:
            raise ConfigError(f"seed={self.seed} is below 0")


def ingest(job: Ingest, workers: Workers) -> Path:
    """Make a store.

    The store is built in a hidden folder beside its destination and published by one rename. If the process is killed,
    the same call goes on from what was finished; a source that breaks a rule leaves nothing behind.

    Returns
    -------
    pathlib.Path
        The store.

    Raises
    ------
    SourceError
        If a source breaks a rule.
    StoreError
        If the output exists and `overwrite` is not set, or another ingest is writing it.
    StateError
        If an interrupted ingest of something else lies at the destination.
    """
    sources = open_sources(job.sources, job.description)
    check_output(job)
    work = job.output.with_name(f".{job.output.name}.ingest")
    with _sole_writer(work):
        try:
            _build(job, sources, work, workers)
        except SourceError:
            shutil.rmtree(work, ignore_errors=True)
            raise
        if job.output.exists():
            shutil.rmtree(job.output)
        publish(work / "store", job.output)
        shutil.rmtree(work)
    return job.output


def check_output(job: Ingest) -> None:
    """Refuse an output that must not be replaced.

    Raises
    ------
    StoreError
        If there is one and `overwrite` is not set, or what is there is not a store.
    """
    if not job.output.exists():
        return
    if not job.overwrite:
        raise StoreError(f"{job.output}: already exists; --overwrite replaces it")
    if not (job.output / "zarr.json").is_file():
        raise StoreError(f"{job.output}: is not a store; --overwrite replaces only stores")


@contextmanager
def _sole_writer(work: Path) -> Iterator[None]:
    """Hold the working folder for this process alone; the lock goes with the process."""
    work.parent.mkdir(parents=True, exist_ok=True)
    lock_path = work.with_name(work.name + ".lock")
    with lock_path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreError(f"{work}: another ingest is writing here") from None
        yield
        lock_path.unlink()


def _build(job: Ingest, sources: Sequence[Source], work: Path, workers: Workers) -> None:
    root, spool = work / "store", work / "spool"
    layout = Layout.of(job.description.sample_bytes)
    labels = [source.labels() for source in sources]
    order, split_sizes = arrange(np.concatenate(labels), job.split, job.seed, job.description.classes)
    identities = _identities(sources, workers)
    _resume(job, identities, work)

    position = np.full(sum(map(len, labels)), -1, np.int64)
    position[order] = np.arange(order.size)
    limit = job.memory // (4 * workers.count)
    stretches = list(_stretches(sources))
    first_row = np.concatenate([[0], np.cumsum([source.rows for source in sources])]).tolist()
    calls = []
    for stretch in stretches:
        base = first_row[sources.index(stretch.source)]
        calls.append((stretch, position[base + stretch.start : base + stretch.stop], layout, spool, limit))
    workers.run(scatter, calls, "reading sources")

    if not root.exists():
        zarr.create_group(root, zarr_format=3)
        create_image(root, order.size, job.description, layout)
    shards = range(layout.shard_count(order.size))
    digests = workers.run(
        gather, [(shard, order.size, layout, spool, shard_path(root, shard)) for shard in shards], "writing shards"
    )

    file = np.searchsorted(first_row, order, side="right") - 1
    table = SampleTable(
        label=np.concatenate(labels)[order],
        source_file=file.astype(np.uint8),
        source_row=order - np.array(first_row)[file],
        split_sizes=split_sizes,
    )
    attributes = {
        "sources": identities,
        "simulated": ", ".join(sorted({source.simulated for source in sources} - {""})),
        "split_scheme": job.split.scheme,
        "seed": job.seed,
        "content_digest": _content_digest(digests, table),
        "versions": versions(),
        "history": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {' '.join([Path(sys.argv[0]).name, *sys.argv[1:]])}",
    }
    write_tables(root, table, job.description, attributes)
    write_statistics(root, workers)


def _identities(sources: Sequence[Source], workers: Workers) -> list[dict[str, Any]]:
    digests = workers.run(sha256, [(source.path,) for source in sources], "sha256 of sources")
    for source, digest in zip(sources, digests, strict=True):
        first = sources[digests.index(digest)]
        if first is not source:
            raise SourceError(f"{source.path}: has the same content as {first.path}")
    return [
        {"name": source.path.name, "size": source.path.stat().st_size, "sha256": digest, "rows": source.rows}
        for source, digest in zip(sources, digests, strict=True)
    ]


def _resume(job: Ingest, identities: list[dict[str, Any]], work: Path) -> None:
    """Start a working folder, or make sure that the one found is of the same ingest."""
    wanted = {
        "dataset": job.description.name,
        "sources": identities,
        "split": job.split.scheme,
        "seed": job.seed,
        "versions": versions(),
    }
    record = work / "ingest.json"
    if record.exists():
        found = json.loads(record.read_text())
        for name, value in wanted.items():
            if found.get(name) != value:
                raise StateError(
                    f"{work}: an interrupted ingest has {name}={found.get(name)!r}, this one {value!r}; "
                    "finish that one, or delete the folder"
                )
        return
    shutil.rmtree(work, ignore_errors=True)
    (work / "spool").mkdir(parents=True)
    partial = record.with_suffix(".partial")
    partial.write_text(json.dumps(wanted))
    partial.replace(record)


def _stretches(sources: Sequence[Source]) -> Iterator[Stretch]:
    """Cut sources into about equal stretches of whole blocks: small enough to share out, few enough to merge."""
    total = sum(source.rows for source in sources)
    number = 0
    for source in sources:
        rows = max(-(-total // MOST_STRETCHES), STRETCH_BYTES // _row_bytes(source))
        rows = max(1, round(rows / source.block)) * source.block
        for start in range(0, source.rows, rows):
            yield Stretch(number=number, source=source, start=start, stop=min(source.rows, start + rows))
            number += 1


def _row_bytes(source: Source) -> int:
    return source.read(0, 1).nbytes


def _content_digest(shards: Sequence[str], table: SampleTable) -> str:
    """Return the sha256 that stands for a store: of its shards, labels, splits and provenance."""
    digest = hashlib.sha256(json.dumps([*shards, table.split_ranges]).encode())
    for column in (table.label, table.source_file, table.source_row):
        digest.update(column.tobytes())
    return digest.hexdigest()


def versions() -> dict[str, str]:
    """Return the versions of what decides a store's bytes."""
    names = ("calostream", "zarr", "numcodecs", "numpy", "h5py")
    return {name: importlib.metadata.version(name) for name in names}
