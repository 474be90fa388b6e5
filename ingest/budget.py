"""The memory and disk space of an ingest: memory is shared between concurrent calls, disk space checked beforehand."""

import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ingest.identity import location_of
from ingest.staging import StagingFolder
from store import layout
from store.console import say
from store.errors import ConfigError, StoreError
from store.sources import Source

MIB = 1 << 20
ASSEMBLING = 3  # times the size of a shard: its samples as they are read, the shard, and a margin
LEAST_HELD = 8 * MIB  # compressed bytes that a run should have at least to be worth a file


@dataclass(frozen=True, kw_only=True)
class Budget:
    """How memory is shared between the stretches that are read at once.

    Attributes
    ----------
    at_once
        Number of stretches that may be read at once.
    held
        Number of compressed bytes that each of them may hold before it writes a run.
    """

    at_once: int
    held: int


def share_memory(memory: int, sources: Sequence[Source], workers: int) -> Budget:
    """Return how to share `memory` bytes between `workers`, or between fewer if they are not enough for all.

    Raises
    ------
    ConfigError
        If the memory is too small to read one stretch, or to write one shard.
    """
    reading = [source.reading_bytes for source in sources]
    needed = max(reading) + 2 * LEAST_HELD
    shard = ASSEMBLING * min(layout.SHARD_BYTES, _most_stored(sources))
    if memory < max(needed, shard):
        largest = location_of(sources[reading.index(max(reading))])
        doing = f"reading {largest}" if needed > shard else "writing a shard"
        enough = math.ceil(max(needed, shard) / MIB)
        raise ConfigError(f"memory={memory} is too small: {doing} takes {enough} MiB; give --memory {enough}MiB")
    at_once = min(workers, memory // needed)
    return Budget(at_once=at_once, held=(memory // at_once - max(reading)) // 2)


def count_assemblies(memory: int, shard_bytes: int) -> int:
    """Return how many shards of a number of bytes may be written at once."""
    return max(1, memory // (ASSEMBLING * max(1, shard_bytes)))


def _most_stored(sources: Sequence[Source]) -> int:
    """Return the largest size that the images of some sources can have in a store, in bytes."""
    return sum(min(2 * source.stored_bytes, source.rows * source.spec.sample_bytes) for source in sources)


def check_space(staging: StagingFolder, sources: Sequence[Source], samples: int) -> None:
    """Say how much disk space is needed, and make sure that it is free.

    Compressed samples take at most twice as much as compressed sources, and hardly more than the images themselves;
    they are on the disk twice, once in the spool and once in the store.

    Parameters
    ----------
    staging
        Where they are written.
    sources
        The sources.
    samples
        Number of images that go into the store.

    Raises
    ------
    StoreError
        If the disk is too small.
    """
    images = min(_most_stored(sources), samples * sources[0].spec.sample_bytes)
    size = f"{math.ceil(images / 1e6):,} MB"
    local = [isinstance(place, Path) for place in (staging.spool, staging.shards)]
    if not any(local):
        say(f"space: {size} for temporary files and as much for the store, at most, at {staging.output}")
        return
    free, reusable = shutil.disk_usage(staging.path).free, staging.used()
    store = "as much for the store" if all(local) else f"as much for the store at {staging.output}"
    numbers = f"{size} for temporary files and {store}, at most; {free / 1e6:,.0f} MB are free"
    if sum(local) * images > free + reusable:
        raise StoreError(f"{staging.path.parent}: the disk is too small: {numbers}")
    say(f"disk space: {numbers}")
