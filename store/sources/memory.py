"""Whether what a source file promises fits the memory of this machine, checked before it is allocated."""

import os
from pathlib import Path

from store.errors import SourceError

ROW_BYTES = 64  # taken by the columns of a row and by its place in the shuffled order


def check_memory(path: Path, what: str, size: int) -> None:
    """Raise SourceError if something of `size` bytes that a file asks for is larger than the machine's memory."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if size > memory:
        raise SourceError(
            f"{path}: {what} need {size / 1e9:,.1f} GB of memory, this machine has {memory / 1e9:,.1f} GB"
        )


def check_rows(path: Path, rows: int) -> None:
    """Raise SourceError if the columns of that many rows do not fit this machine's memory."""
    check_memory(path, f"the columns of its {rows:,} rows", rows * ROW_BYTES)
