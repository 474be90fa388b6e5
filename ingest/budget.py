"""The memory and disk space of an ingest: memory is shared between concurrent calls, disk space checked beforehand."""

import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass

from ingest.staging import StagingFolder
from store.console import say
from store.errors import ConfigError, StoreError
from store.sources import Source

MIB = 1 << 20
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
        If the memory is too small to read one stretch.
    """
    reading = [source.reading_bytes for source in sources]
    needed = max(reading) + 2 * LEAST_HELD
    at_once = min(workers, memory // needed)
    if at_once < 1:
        largest = sources[reading.index(max(reading))]
        enough = math.ceil(needed / MIB)
        raise ConfigError(
            f"memory={memory} is too small: reading {largest.path} takes {enough} MiB; give --memory {enough}MiB"
        )
    return Budget(at_once=at_once, held=(memory // at_once - max(reading)) // 2)


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
    images = sum(min(2 * source.stored_bytes, source.rows * source.spec.sample_bytes) for source in sources)
    images = min(images, samples * sources[0].spec.sample_bytes)
    free, reusable = shutil.disk_usage(staging.path).free, staging.used()
    numbers = f"{images / 1e6:,.0f} MB for the spool and as much for the store, at most; {free / 1e6:,.0f} MB are free"
    if 2 * images > free + reusable:
        raise StoreError(f"{staging.output.parent}: the disk is too small: {numbers}")
    say(f"disk space: {numbers}")
