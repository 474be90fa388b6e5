"""Which samples form which batch: pure arithmetic, the same on every machine and in both frameworks.

The order of an epoch is a permutation of the samples of a split. It is not stored: batch i is computed from
(seed, epoch, rank) without the batches before it. That makes exact resume, the same stream in both frameworks, and
random access possible.
"""

from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np

from store.arrays import Int64Array
from store.compiled.permutation import Keys, fill_chunks, fill_full, make_keys
from store.errors import PlanError
from store.shuffles import SHUFFLES, Shuffle

if TYPE_CHECKING:
    from store.opening import Store

PLAN_VERSION = 1
MINIMA = {"batch_size": 1, "chunk": 1, "window": 1, "seed": 0, "epoch": 0, "start": 0, "world_size": 1}


@dataclass(frozen=True, kw_only=True)
class BatchPlan:
    """The batches of one epoch on one rank.

    Every sample of [start, stop) appears exactly once per epoch over all ranks, and every rank has the same number of
    batches. All batches have `batch_size` samples except the last, which has the remaining ones. Several ranks divide
    the remaining samples evenly, so the last batch may be one sample shorter on some ranks than on others, or empty.

    With ``full`` and ``none``, batch i over all ranks consists of ``world_size * batch_size`` consecutive positions of
    the epoch's order, of which rank r takes the r-th part. Two ranks together see in one step what a single rank with
    twice the batch size would see. With ``window`` and ``chunks``, rank r takes the r-th part of the epoch's order, so
    that it reads only its own chunks.

    Attributes
    ----------
    start, stop
        Range of samples in the store, usually that of a split.
    batch_size
        Samples per batch on this rank.
    shuffle
        ``full``: a permutation of all samples. ``window``: chunks in random order, then a permutation within windows of
        whole chunks. ``chunks``: chunks in random order, stored order within each. ``none``: stored order.
    chunk
        Samples per chunk of the store.
    window
        Minimum samples per window; rounded up to whole chunks.
    seed, epoch
        The two numbers that determine the permutation.
    rank, world_size
        Number of this process, and number of processes that share the epoch.
    split
        Name of the split, if the range is a whole split or the beginning of one; otherwise None.

    Raises
    ------
    PlanError
        If a value is out of bounds, or an index is not that of a batch.
    """

    start: int
    stop: int
    batch_size: int
    shuffle: Shuffle = "full"
    chunk: int = 64
    window: int = 8192
    seed: int = 0
    epoch: int = 0
    rank: int = 0
    world_size: int = 1
    split: str | None = None

    def __post_init__(self) -> None:
        if self.shuffle not in SHUFFLES:
            raise PlanError(f"unknown shuffle {self.shuffle!r}; known: {', '.join(SHUFFLES)}")
        for name, minimum in MINIMA.items():
            if getattr(self, name) < minimum:
                raise PlanError(f"{name}={getattr(self, name)} is below {minimum}")
        if self.stop <= self.start:
            raise PlanError(f"no samples between start={self.start} and stop={self.stop}")
        if not 0 <= self.rank < self.world_size:
            raise PlanError(
                f"rank={self.rank} is not in [0, {self.world_size}), the ranks of world_size={self.world_size}"
            )

    @property
    def sample_count(self) -> int:
        """Number of samples in an epoch, over all ranks."""
        return self.stop - self.start

    @property
    def identity(self) -> dict[str, Any]:
        """What determines the batches of every epoch, as JSON values."""
        values = asdict(self)
        del values["epoch"]
        if self.split is not None:  # the store and its split's name determine where the range starts
            del values["start"], values["stop"]
            values["samples"] = self.sample_count
        return {"plan_version": PLAN_VERSION, **values}

    def at_epoch(self, epoch: int) -> "BatchPlan":
        """Return the plan of another epoch."""
        return replace(self, epoch=epoch)

    @property
    def _shares_batches(self) -> bool:
        return self.shuffle in ("full", "none")

    @cached_property
    def _keys(self) -> Keys:
        return make_keys(PLAN_VERSION, self.seed, self.epoch)

    def __len__(self) -> int:
        return -(-self.sample_count // (self.batch_size * self.world_size))

    def bounds(self, index: int) -> tuple[int, int]:
        """Return the range in the epoch's order that batch `index` takes on this rank.

        Raises
        ------
        PlanError
            If `index` is not in [0, len(self)).
        """
        if not 0 <= index < len(self):
            raise PlanError(f"batch {index} is not in [0, {len(self)}), the batches of the epoch")
        n, ranks = self.sample_count, self.world_size
        if self._shares_batches:
            first = index * ranks * self.batch_size
            size = min(n - first, ranks * self.batch_size)
            return first + size * self.rank // ranks, first + size * (self.rank + 1) // ranks
        first, last = n * self.rank // ranks, n * (self.rank + 1) // ranks
        return min(last, first + index * self.batch_size), min(last, first + (index + 1) * self.batch_size)

    def __getitem__(self, index: int) -> Int64Array:
        """Return the samples of batch `index`: int64 (batch,), positions in the store."""
        lower, upper = self.bounds(index)
        out = np.empty(upper - lower, np.int64)
        if self.shuffle == "none":
            out[:] = np.arange(self.start + lower, self.start + upper)
        elif self.shuffle == "full":
            fill_full(lower, self.start, self.sample_count, self._keys, out)
        else:
            window_chunks = -(-self.window // self.chunk) if self.shuffle == "window" else 0
            fill_chunks(lower, self.start, self.stop, self.chunk, window_chunks, self._keys, out)
        return out


class SplitOptions(TypedDict, total=False):
    """Keyword arguments of `plan_split`, for functions that pass them on."""

    split: str
    batch_size: int
    shuffle: Shuffle
    seed: int
    epoch: int
    rank: int
    world_size: int
    samples: int | None


def plan_split(
    store: "Store",
    *,
    split: str,
    batch_size: int,
    shuffle: Shuffle = "full",
    seed: int = 0,
    epoch: int = 0,
    rank: int = 0,
    world_size: int = 1,
    samples: int | None = None,
) -> BatchPlan:
    """Return the plan of the batches of a split.

    Parameters
    ----------
    store
        An opened store.
    split
        ``train``, ``validation`` or ``test``.
    batch_size, shuffle, seed, epoch, rank, world_size
        See `BatchPlan`.
    samples
        Number of samples to use, from the beginning of the split; all by default. They are a random subset, since
        stores are shuffled.

    Raises
    ------
    PlanError
        If there is no such split, or a value is out of bounds.
    """
    start, stop = store.split_range(split)
    if samples is not None:
        if not 1 <= samples <= stop - start:
            raise PlanError(f"samples={samples} is not between 1 and the {stop - start} of split {split!r}")
        stop = start + samples
    return BatchPlan(
        start=start,
        stop=stop,
        batch_size=batch_size,
        shuffle=shuffle,
        chunk=store.image.chunks[0],
        seed=seed,
        epoch=epoch,
        rank=rank,
        world_size=world_size,
        split=split,
    )
