"""The whole ingest: source files in, one complete store out, or none."""

import errno
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from ingest.budget import Budget, check_space, count_assemblies, share_memory
from ingest.columns import Columns, cut_rows, read_columns
from ingest.completion import complete_store, history_line, versions
from ingest.destination import check_output, find_destination, removing_unused_folders
from ingest.executors import Executor
from ingest.external_shuffle import (
    SpilledStretch,
    assemble_shard,
    cut_stretches,
    positions_of_rows,
    spill,
)
from ingest.identity import check_distinct, check_unchanged, digest_files, identify, location_of, stamp_files
from ingest.notes import say_notes
from ingest.remote_staging import open_staging
from ingest.split import Split, arrange
from ingest.spool import Spool
from ingest.staging import StagingFolder
from store.datasets import FORMAT_VERSION, DatasetSpec
from store.digests import content_digest
from store.errors import ConfigError, PlanError, SourceError, StoreError
from store.layout import Layout
from store.locations import Location, Url
from store.sample_columns import WEIGHT
from store.selection import Cut
from store.sources import Source, open_sources
from store.writer import SampleTable

SHOWN = 3  # sources named in one message


@dataclass(frozen=True, kw_only=True)
class Ingest:
    """What to ingest, and how.

    Attributes
    ----------
    sources
        Source files, on this machine or at URLs; a store refers to them by their number in this order.
        `ingest.source_files.find_files` finds them in folders and by patterns.
    spec
        The data set that they hold.
    output
        Folder or URL of the store to make.
    split
        How to divide the samples into training, validation and test.
    seed
        Seed of the shuffle.
    memory
        Limit on the images that are in memory at once, in bytes; the program itself needs more.
    simulation
        Name of the simulation that made the images, for sources that do not declare one; empty if there is none.
    where
        Cut on the columns of the sources, such as ``"pt > 30"``, that rows must pass before they are divided; see
        `store.selection`. None to take all rows.
    file_classes
        Number of the class of all images of each source, for sources without labels; empty if the sources have labels.
    overwrite
        Whether to replace an existing store.

    Raises
    ------
    ConfigError
        If `seed` is negative, the split keeps groups of an unknown variable together, or its number of sources or that
        of `file_classes` is another one.
    PlanError
        If `where` is not a valid expression.
    """

    sources: tuple[Location, ...]
    spec: DatasetSpec
    output: Location
    split: Split
    seed: int = 0
    memory: int = 1 << 30
    simulation: str = ""
    where: str | None = None
    file_classes: tuple[int, ...] = ()
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise ConfigError(f"seed={self.seed} is below 0")
        if self.split.by_source and len(self.split.by_source) != len(self.sources):
            raise ConfigError(f"the split is of {len(self.split.by_source)} sources, got {len(self.sources)}")
        if self.file_classes and len(self.file_classes) != len(self.sources):
            raise ConfigError(f"file_classes are of {len(self.file_classes)} sources, got {len(self.sources)}")
        names = [variable.name for variable in self.spec.variables]
        if self.split.group is not None and self.split.group not in names:
            raise ConfigError(
                f"group={self.split.group!r} is not a variable of {self.spec.name}; known: {', '.join(names) or 'none'}"
            )
        if self.where is not None:
            object.__setattr__(self, "where", " ".join(Cut.parse(self.where).text.split()))

    @property
    def split_scheme(self) -> str:
        """The text that describes, in a store, which rows are divided and how."""
        return self.split.scheme if self.where is None else f"rows where {self.where}: {self.split.scheme}"


def ingest(job: Ingest, executor: Executor) -> Location:
    """Make a store from source files.

    The store is built in a hidden folder beside its destination and published by one rename; at a URL, it becomes
    visible with its last object. If the process dies, the same call resumes from what was finished; if a source breaks
    a rule, nothing is left behind.

    Parameters
    ----------
    job
        Sources, destination and options.
    executor
        Where the work is done, from `open_executor`.

    Returns
    -------
    pathlib.Path or Url
        The store.

    Raises
    ------
    SourceError
        If a source breaks a rule.
    StoreError
        If the output exists and `overwrite` is not set, another ingest is making it, or the disk is too small or full.
    StateError
        If the destination has an interrupted ingest of other sources or with other options.
    ConfigError
        If `memory` is too small for the largest block of a source.
    PlanError
        If `where` reads a column that the data set does not have.
    RemoteError
        If an object cannot be read or written.
    CorruptStoreError
        If an object is not what was written.

    Examples
    --------
    >>> spec = cs.find_dataset("electron-photon")
    >>> split = cs.Split.parse("0.7,0.1,0.2")
    >>> job = cs.Ingest(spec=spec, sources=(Path("showers.hdf5"),), output=Path("showers.zarr"), split=split)
    >>> with cs.open_executor() as executor:
    ...     store = cs.ingest(job, executor)
    >>> cs.open_dataset(store).sizes["sample"]
    40
    """
    output = find_destination(job.output, job.sources)
    staging = open_staging(output, executor)
    with removing_unused_folders(output), staging.held():
        check_output(output, overwrite=job.overwrite)
        sources = open_sources(job.sources, job.spec, job.file_classes or None)
        check_distinct(sources)
        try:
            _build(job, sources, staging, executor)
        except (SourceError, ConfigError, PlanError):
            staging.abandon()
            raise
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise StoreError(
                f"{output.parent}: {error.strerror}; make room and run this again: it resumes where it stopped"
            ) from error
        staging.publish()
    return job.output


def _build(job: Ingest, sources: Sequence[Source], staging: StagingFolder, executor: Executor) -> None:
    """Make the complete store in the staging folder."""
    layout = Layout.of(job.spec.sample_bytes)
    budget = share_memory(job.memory, sources, executor.count)
    say_notes(sources)
    stamps = stamp_files(sources)
    table = _arrange_samples(job, sources)
    digests = digest_files(sources, executor)
    identities = identify(sources, digests, [job.spec.classes[number] for number in job.file_classes])
    check_space(staging, sources, len(table.label))
    spool = staging.start(_record(job, identities, layout))

    spilled = _spill_images(sources, table, layout, budget, spool, executor)
    check_unchanged(stamps, digests)
    stored_bytes = sum(stretch.stored_bytes for stretch in spilled)
    layout = layout.sized(len(table.label), stored_bytes)
    staging.make_room(layout.shard_count(len(table.label)))
    at_once = count_assemblies(job.memory, stored_bytes * layout.shard // len(table.label))
    shards = _assemble_images(spilled, table, layout, spool, staging.shards, executor, at_once)

    simulation = " ".join(job.simulation.split())
    attributes = {
        "sources": identities,
        "simulated": ", ".join(sorted({source.simulated or simulation for source in sources} - {""})),
        "empty_images": sum(stretch.empty for stretch in spilled),
        "split_scheme": job.split_scheme,
        "seed": job.seed,
        "content_digest": content_digest(shards, table.split_ranges, table.content),
        "versions": versions(),
        "history": history_line(),
    }
    if job.where is not None:
        rows = sum(source.rows for source in sources)
        attributes["selection"] = {"where": job.where, "before": rows, "after": len(table.label)}
    url = staging.output if isinstance(staging.output, Url) else None
    complete_store(staging.root, table, shards, job.spec, layout, attributes, executor, url)


def _arrange_samples(job: Ingest, sources: Sequence[Source]) -> SampleTable:
    """Decide which row of which source each sample of the store is, and read its columns."""
    columns = read_columns(sources, job.spec)
    if missing := _missing_class(job.spec, columns):
        given = ", ".join(str(location_of(source)) for source in sources[:SHOWN])
        more = f" and {len(sources) - SHOWN} more" if len(sources) > SHOWN else ""
        raise SourceError(f"{given}{more}: no sample of {missing}; give files that hold samples of all classes")
    if job.where is not None:
        columns = cut_rows(columns, Cut.parse(job.where))
        if missing := _missing_class(job.spec, columns):
            raise SourceError(
                f"where={job.where!r} leaves no sample of {missing}; choose a cut that leaves all classes"
            )
    if job.split.group is not None and columns[job.split.group].dtype.kind != "i":
        raise SourceError(f"{location_of(sources[0])}: {job.split.group} is floating-point, and --group needs integers")
    split = replace(job.split, scheme=job.split_scheme)  # for messages
    order, split_sizes = arrange(columns, split, job.seed, job.spec.classes)
    columns = {name: values[order] for name, values in columns.items()}
    return SampleTable(
        label=columns["label"],
        source_file=columns["source_file"],
        source_row=columns["source_row"],
        split_sizes=split_sizes,
        variables={variable.name: columns[variable.name] for variable in job.spec.variables},
        weight=columns.get(WEIGHT),
    )


def _missing_class(spec: DatasetSpec, columns: Columns) -> str | None:
    """Return a class without samples, in words for a message, or None if all classes are there."""
    counts = np.bincount(columns["label"], minlength=len(spec.classes))
    code = int(np.argmin(counts))
    return None if counts[code] else f"class {spec.classes[code]} (label {code})"


def _record(job: Ingest, identities: Sequence[dict[str, Any]], layout: Layout) -> dict[str, Any]:
    """Return everything that decides a store's content; an interrupted ingest is resumed only if this is the same."""
    return {
        "dataset": job.spec.to_dict(),
        "sources": [
            ", ".join(f"{file['name']}, sha256 {file['sha256']}" for file in (identity, *identity.get("parts", ())))
            + (f", class {identity['class']}" if "class" in identity else "")
            for identity in identities
        ],
        "split": job.split_scheme,
        "seed": job.seed,
        "layout": asdict(layout),
        "format_version": FORMAT_VERSION,
        "versions": versions(),
    }


def _spill_images(
    sources: Sequence[Source],
    table: SampleTable,
    layout: Layout,
    budget: Budget,
    spool: Spool,
    executor: Executor,
) -> list[SpilledStretch]:
    """Read all sources once, and leave their images compressed and sorted in the spool."""
    spool.delete_unfinished()
    positions = positions_of_rows(table.source_file, table.source_row, [source.rows for source in sources])
    calls = [(stretch, stretch.select(positions), layout, spool, budget.held) for stretch in cut_stretches(sources)]
    return executor.run(spill, calls, "reading sources", budget.at_once)


def _assemble_images(
    spilled: Sequence[SpilledStretch],
    table: SampleTable,
    layout: Layout,
    spool: Spool,
    root: Location,
    executor: Executor,
    at_once: int,
) -> list[str]:
    """Write all shards of the store from the spool, and return their sha256 digests in order."""
    runs = [run for stretch in spilled for run in stretch.runs]
    samples = len(table.label)
    calls = [(shard, samples, layout, spool, runs, root) for shard in range(layout.shard_count(samples))]
    return executor.run(assemble_shard, calls, "writing shards", at_once)
