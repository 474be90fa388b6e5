"""The whole ingest: sources in, one complete store out, or none."""

import errno
import hashlib
import importlib.metadata
import json
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zarr

from ingest.budget import check_space, share_memory
from ingest.executors import Executor
from ingest.external_shuffle import assemble_shard, cut_stretches, discard, spill
from ingest.split import Split, arrange
from ingest.staging import StagingFolder
from ingest.statistics import write_statistics
from store.console import console
from store.datasets import DatasetSpec
from store.digests import sha256, write_digests
from store.errors import ConfigError, SourceError, StoreError
from store.layout import Layout, shard_path
from store.opening import open_store
from store.sources.source import Source, open_sources
from store.writer import SampleTable, create_image, write_tables


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
        Bound on the images held at once, in bytes; the program itself comes on top.
    simulation
        What simulated the images of sources that do not say, if anything did.
    overwrite
        Replace a store that is already there.
    """

    sources: tuple[Path, ...]
    spec: DatasetSpec
    output: Path
    split: Split
    seed: int = 0
    memory: int = 1 << 30
    simulation: str = ""
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise ConfigError(f"seed={self.seed} is below 0")


def ingest(job: Ingest, executor: Executor) -> Path:
    """Make a store.

    The store is built in a hidden folder beside its destination and published by one rename. If the process dies, the
    same call goes on from what was finished; a source that breaks a rule leaves nothing behind.

    Returns
    -------
    pathlib.Path
        The store.

    Raises
    ------
    SourceError
        If a source breaks a rule.
    StoreError
        If the output exists and `overwrite` is not set, another ingest is making it, or the disk is too small or full.
    StateError
        If an interrupted ingest of something else lies at the destination.
    ConfigError
        If `memory` does not hold a source's largest block.
    """
    sources = open_sources(job.sources, job.spec)
    work = StagingFolder(job.output)
    with work.held():
        _check_output(job)
        for note in filter(None, (source.note for source in sources)):
            console.print(note, markup=False)
        try:
            _build(job, sources, work, executor)
        except (SourceError, ConfigError):
            work.abandon()
            raise
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise StoreError(
                f"{job.output.parent}: {error.strerror}; make room and run this again: it goes on where it was"
            ) from error
        work.publish()
    return job.output


def _check_output(job: Ingest) -> None:
    if not job.output.exists():
        return
    if not job.overwrite:
        raise StoreError(f"{job.output}: already exists; --overwrite replaces it")
    try:
        open_store(job.output)
    except StoreError:
        raise StoreError(f"{job.output}: is not a store; --overwrite replaces only stores") from None


def _build(job: Ingest, sources: Sequence[Source], work: StagingFolder, executor: Executor) -> None:
    layout = Layout.of(job.spec.sample_bytes)
    at_once, limit = share_memory(job.memory, sources, executor.count)
    label = np.concatenate([source.labels() for source in sources])
    columns = [source.variables() for source in sources]
    order, split_sizes = arrange(label, job.split, job.seed, job.spec.classes)
    times = [source.path.stat().st_mtime_ns for source in sources]
    identities = _identities(sources, executor)
    check_space(work, sources)
    work.start(
        {
            "dataset": job.spec.name,
            "sources": [f"{identity['name']}, sha256 {identity['sha256']}" for identity in identities],
            "split": job.split.scheme,
            "seed": job.seed,
            "versions": versions(),
        }
    )
    discard(work.spool)

    position = np.full(label.size, -1, np.int64)
    position[order] = np.arange(order.size)
    first = np.cumsum([0, *(source.rows for source in sources)])
    calls = [
        (stretch, position[first[file] + stretch.start : first[file] + stretch.stop], layout, work.spool, limit)
        for file, stretch in cut_stretches(sources)
    ]
    spilled = executor.run(spill, calls, "reading sources", at_once)
    for source, time, identity in zip(sources, times, identities, strict=True):
        if source.path.stat().st_mtime_ns != time and sha256(source.path) != identity["sha256"]:
            raise SourceError(f"{source.path}: was changed while it was read")
    runs = [run for part in spilled for run in part.runs]
    digests = executor.run(
        assemble_shard,
        [
            (shard, order.size, layout, work.spool, runs, shard_path(work.root, shard))
            for shard in range(layout.shard_count(order.size))
        ],
        "writing shards",
    )

    file = np.searchsorted(first, order, side="right") - 1
    table = SampleTable(
        label=label[order],
        source_file=file.astype(np.uint8),
        source_row=order - first[file],
        split_sizes=split_sizes,
        variables={
            variable.name: np.concatenate([part[variable.name] for part in columns])[order]
            for variable in job.spec.variables
        },
    )
    attributes = {
        "sources": identities,
        "simulated": ", ".join(sorted({source.simulated or job.simulation for source in sources} - {""})),
        "empty_images": sum(part.empty for part in spilled),
        "split_scheme": job.split.scheme,
        "seed": job.seed,
        "content_digest": content_digest(digests, table),
        "versions": versions(),
        "history": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {' '.join([Path(sys.argv[0]).name, *sys.argv[1:]])}",
    }
    _clear_metadata(work.root)
    zarr.create_group(work.root, zarr_format=3)
    create_image(work.root, order.size, job.spec, layout)
    write_tables(work.root, table, job.spec, attributes)
    write_statistics(work.root, executor)
    write_digests(work.root, {shard_path(Path(), shard).as_posix(): digest for shard, digest in enumerate(digests)})


def _identities(sources: Sequence[Source], executor: Executor) -> list[dict[str, Any]]:
    digests = executor.run(sha256, [(source.path,) for source in sources], "sha256 of sources")
    for source, digest in zip(sources, digests, strict=True):
        same = sources[digests.index(digest)]
        if same is not source:
            raise SourceError(f"{source.path}: has the same content as {same.path}")
    return [
        {"name": source.path.name, "size": source.path.stat().st_size, "sha256": digest, "rows": source.rows}
        for source, digest in zip(sources, digests, strict=True)
    ]


def _clear_metadata(root: Path) -> None:
    """Delete all but the image shards: an interrupted ingest, or a worker that died, may have left it half-written."""
    for partial in (root / "image").glob("*.partial"):
        partial.unlink()
    for child in root.iterdir():
        if child.is_file():
            child.unlink()
        elif child.name != "image":
            shutil.rmtree(child)
    (root / "image" / "zarr.json").unlink(missing_ok=True)


def content_digest(shards: Sequence[str], table: SampleTable) -> str:
    """Return the sha256 that stands for a store: of its shards, labels, splits, provenance and variables."""
    digest = hashlib.sha256(json.dumps([*shards, table.split_ranges]).encode())
    columns: tuple[npt.NDArray[Any], ...] = (table.label, table.source_file, table.source_row)
    for column in (*columns, *table.variables.values()):
        digest.update(column.tobytes())
    return digest.hexdigest()


def versions() -> dict[str, str]:
    """Return the versions of what decides a store's bytes."""
    names = ("calostream", "zarr", "numcodecs", "numpy", "h5py")
    return {name: importlib.metadata.version(name) for name in names}
