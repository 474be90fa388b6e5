"""Deciding whether a store fits into the page cache, the memory in which the system keeps files that it has read."""

import os
from collections.abc import Iterator
from pathlib import Path

import psutil

from store.opening import Store
from store.plans.shuffles import Shuffle

GROUPS = {"": ("/sys/fs/cgroup", "memory.max"), "memory": ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")}
FRACTION = 0.5  # of the available memory; the rest is left for programs


def choose_shuffle(store: Store, start: int = 0, stop: int | None = None) -> Shuffle:
    """Return ``full`` if the images of a store are on this machine and fit into the page cache, otherwise ``window``.

    A store at a URL must also fit into the local cache, which may have become smaller since its shards were fetched.

    If they fit, they are read ahead in order once, and ``full`` is fast from then on. Otherwise ``full`` would read
    single images from the disk, or single shards from a server, in random order in every epoch.

    Parameters
    ----------
    store
        The store.
    start, stop
        Range of the samples that are needed.
    """
    shards, stop = store.shards, store.image.shape[0] if stop is None else stop
    too_small = shards.room is not None and store.stored_bytes > shards.room
    if too_small or shards.absent(stored_shards(store, start, stop)):
        return "window"
    return "full" if fits(store.image_bytes) else "window"


def stored_shards(store: Store, start: int, stop: int) -> list[int]:
    """Return the shards with the samples of a range, without those that are all zeros."""
    per_shard = (store.image.shards or store.image.chunks)[0]
    return [k for k in range(start // per_shard, (stop - 1) // per_shard + 1) if not store.shards.is_zeros(k)]


def fits(size: int) -> bool:
    """Return whether this many bytes of files fit into the page cache."""
    available: int = psutil.virtual_memory().available
    return size <= FRACTION * min([available, *group_limits()])


def request_file(path: Path) -> None:
    """Ask the system to read a file into the page cache, in order and in the background."""
    if hasattr(os, "posix_fadvise"):
        with path.open("rb", buffering=0) as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_WILLNEED)


def group_limits(groups: Path = Path("/proc/self/cgroup")) -> Iterator[int]:
    """Yield the memory limits of the control groups of this process, in bytes; the page cache counts towards them."""
    lines = groups.read_text().splitlines() if groups.exists() else []
    for line in lines:
        _, controllers, group = line.split(":", 2)
        for controller in set(controllers.split(",")) & GROUPS.keys():
            root, name = GROUPS[controller]
            innermost = Path(root, group.lstrip("/"))
            for folder in (innermost, *innermost.parents):
                limit = folder / name
                if limit.exists() and (value := limit.read_text().strip()).isdigit():
                    yield int(value)
