"""Whether a store fits into the memory in which the system keeps files that it has read."""

from collections.abc import Iterator
from pathlib import Path

import psutil

from store.files import folder_bytes
from store.opening import Store
from store.plan import Shuffle

GROUPS = {"": ("/sys/fs/cgroup", "memory.max"), "memory": ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")}
SHARE = 0.5  # of what is available, so that something is left for the work


def choose_shuffle(store: Store) -> Shuffle:
    """Return ``full``, or ``window`` where the images would have to be read from the disk one by one, in every epoch.

    A full shuffle of a cold store is fast all the same, if the whole store can be read ahead and kept.
    """
    return "full" if fits(folder_bytes(store.path / store.image.path)) else "window"


def fits(size: int) -> bool:
    """Tell whether the system can keep so many bytes of files in memory."""
    available: int = psutil.virtual_memory().available
    return size <= SHARE * min([available, *group_limits()])


def group_limits(groups: Path = Path("/proc/self/cgroup")) -> Iterator[int]:
    """Yield the limits of memory, in bytes, of the control groups that this process is in; they count files too."""
    lines = groups.read_text().splitlines() if groups.exists() else []
    for line in lines:
        _, controllers, place = line.split(":", 2)
        for controller in set(controllers.split(",")) & GROUPS.keys():
            root, name = GROUPS[controller]
            for folder in (here := Path(root, place.lstrip("/")), *here.parents):
                limit = folder / name
                if limit.exists() and (value := limit.read_text().strip()).isdigit():
                    yield int(value)
