"""What an ingest may take: memory is shared out to stretches, disk space is stated and checked beforehand."""

import shutil
from collections.abc import Sequence

from ingest.staging import StagingFolder
from store.console import console
from store.errors import ConfigError, StoreError
from store.sources.source import Source

LEAST_HELD = 8 << 20  # compressed bytes that a run should have before it is worth a file


def share_memory(memory: int, sources: Sequence[Source], executor: int) -> tuple[int, int]:
    """Return how many stretches may be read at once, and how many compressed bytes each may hold.

    Raises
    ------
    ConfigError
        If not even one fits.
    """
    largest = max(sources, key=_block_bytes)
    block = 3 * _block_bytes(largest)  # as stored, decompressed, and in order
    at_once = min(executor, memory // (block + 2 * LEAST_HELD))
    if at_once < 1:
        raise ConfigError(
            f"memory={memory} is too small: {largest.path} is read in blocks of {largest.block} images, which takes "
            f"{block + 2 * LEAST_HELD} bytes"
        )
    return at_once, (memory // at_once - block) // 2


def check_space(work: StagingFolder, sources: Sequence[Source]) -> None:
    """Say how much disk space is needed, and make sure that it is there.

    Compressed samples take at most twice what compressed sources take, and hardly more than the images themselves;
    they lie on the disk twice, once in the spool and once in the store.

    Raises
    ------
    StoreError
        If the disk is too small.
    """
    images = sum(min(2 * source.stored_bytes, source.rows * _block_bytes(source) // source.block) for source in sources)
    needed, there, free = 2 * images, work.used(), shutil.disk_usage(work.path).free
    numbers = f"{images / 1e6:,.0f} MB for the spool and as much for the store, at most; {free / 1e6:,.0f} MB are free"
    if needed > free + there:
        raise StoreError(f"{work.output.parent}: the disk is too small: {numbers}")
    console.print(f"disk space: {numbers}", markup=False)


def _block_bytes(source: Source) -> int:
    return source.block * source.spec.sample_bytes
