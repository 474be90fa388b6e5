"""Which samples form which batch: pure arithmetic, the same on every machine and in both frameworks.

The order of an epoch is a permutation of the samples of a split. It is not stored: batch i is computed from
(seed, epoch, rank) without the batches before it. That makes exact resume, the same stream in both frameworks, and
random access possible.
"""

from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from store.arrays import Int64Array
from store.compiled.permutation import fill_full, make_keys
from store.errors import PlanError
from store.plans.shard_order import ShardOrder
from store.plans.shuffles import SHUFFLES, Shuffle

PLAN_VERSIONS: dict[Shuffle, int] = {"full": 1, "window": 2, "chunks": 2, "none": 1}
"""Version of each order; it changes whenever the order does."""
LOCAL = ("window", "chunks")
"""The orders that are local to shards, and of which each rank has a part."""
MINIMA = {"batch_size": 1, "chunk": 1, "shard": 1, "window": 1, "seed": 0, "epoch": 0, "start": 0, "world_size": 1}


@dataclass(frozen=True, kw_only=True)
class BatchPlan:
    """The batches of one epoch on one rank.

    Every sample of [start, stop) appears exactly once per epoch over all ranks, and every rank has the same number of
    batches. All batches have `batch_size` samples except the last, which has the remaining ones. Several ranks divide
    the remaining samples evenly, so the last batch may be one sample shorter on some ranks than on others, or empty.

    With ``full`` and ``none``, batch i over all ranks consists of ``world_size * batch_size`` consecutive positions of
    the epoch's order, of which rank r takes the r-th part. Two ranks together see in one step what a single rank with
    twice the batch size would see. With ``window`` and ``chunks``, each rank has shards of its own, the same in every
    epoch; it shares at most the shards at both ends of its part with other ranks.

    Attributes
    ----------
    start, stop
        Range of samples in the store, usually that of a split.
    batch_size
        Samples per batch on this rank.
    shuffle
        ``full``: a permutation of all samples. ``chunks``: shards in random order, in groups of at least `window`
        samples, the chunks of each group in random order, stored order within each chunk. ``window``: the same, then a
        permutation within windows of whole chunks of a group. ``none``: stored order. See `store.plans.shard_order`.
    chunk
        Samples per chunk of the store.
    shard
        Samples per shard of the store, a multiple of `chunk`; by default a chunk.
    window
        Minimum samples per window; rounded up to whole chunks.
    seed, epoch
        The two numbers that determine the permutation.
    rank, world_size
        Number of this process, and number of processes that share the epoch.
    parts
        With ``window`` and ``chunks``, number of parts into which the shards are divided; as many as ranks by default.
        With another number, batch i over all ranks consists of batch i of each part, and the ranks share it as with
        ``full``. So a run may continue with another number of ranks and the same batches over all of them.
    split
        Name of the split, if the range is a whole split or the beginning of one; otherwise None.

    Raises
    ------
    PlanError
        If a value is out of bounds, or an index is not that of a batch.

    Examples
    --------
    >>> plan = cs.BatchPlan(start=0, stop=10, batch_size=4, shuffle="none", chunk=4)
    >>> len(plan), plan[2]
    (3, array([8, 9]))
    """

    start: int
    stop: int
    batch_size: int
    shuffle: Shuffle = "full"
    chunk: int = 64
    shard: int | None = None
    window: int = 8192
    seed: int = 0
    epoch: int = 0
    rank: int = 0
    world_size: int = 1
    parts: int | None = None
    split: str | None = None

    def __post_init__(self) -> None:
        if self.shuffle not in SHUFFLES:
            raise PlanError(f"unknown shuffle {self.shuffle!r}; known: {', '.join(SHUFFLES)}")
        shard = self.chunk if self.shard is None else self.shard
        object.__setattr__(self, "shard", shard)
        for name, minimum in MINIMA.items():
            if getattr(self, name) < minimum:
                raise PlanError(f"{name}={getattr(self, name)} is below {minimum}")
        if shard % self.chunk:
            raise PlanError(f"shard={shard} is not a multiple of chunk={self.chunk}")
        if self.stop <= self.start:
            raise PlanError(f"no samples between start={self.start} and stop={self.stop}")
        if not 0 <= self.rank < self.world_size:
            raise PlanError(
                f"rank={self.rank} is not in [0, {self.world_size}), the ranks of world_size={self.world_size}"
            )
        if self.parts is not None and (self.parts < 1 or self.global_batch_size % self.parts):
            raise PlanError(
                f"parts={self.parts} does not divide the {self.global_batch_size} samples of a batch over all ranks"
            )

    def __getstate__(self) -> dict[str, Any]:
        return asdict(self)  # without what is kept of the order

    @property
    def sample_count(self) -> int:
        """Number of samples in an epoch, over all ranks."""
        return self.stop - self.start

    @property
    def global_batch_size(self) -> int:
        """Samples per batch over all ranks."""
        return self.batch_size * self.world_size

    @property
    def identity(self) -> dict[str, Any]:
        """What determines the batches of every epoch, as JSON values."""
        values = asdict(self)
        del values["epoch"]
        if self.shuffle not in LOCAL:
            del values["shard"]
        if self.parts is None:
            del values["parts"]
        if self.split is not None:  # the store and its split's name determine where the range starts
            del values["start"], values["stop"]
            values["samples"] = self.sample_count
        return {**values, "plan_version": PLAN_VERSIONS[self.shuffle]}

    def at_epoch(self, epoch: int) -> "BatchPlan":
        """Return the plan of another epoch."""
        return replace(self, epoch=epoch)

    def divide(self, **changes: int | None) -> "BatchPlan":
        """Return the plan with another `rank`, `world_size` or `parts`."""
        return replace(self, **changes)  # type: ignore[arg-type]

    def reorder(self, shuffle: Shuffle) -> "BatchPlan":
        """Return the plan with another order."""
        return replace(self, shuffle=shuffle)

    @property
    def _part_count(self) -> int:
        return (self.parts or self.world_size) if self.shuffle in LOCAL else 1

    @cached_property
    def _parts(self) -> "list[_WholeOrder] | list[ShardOrder]":
        """The order of each part of the epoch."""
        if self.shuffle not in LOCAL:
            return [_WholeOrder(self)]
        assert self.shard is not None
        return [
            ShardOrder(
                start=self.start,
                stop=self.stop,
                chunk=self.chunk,
                shard=self.shard,
                window=self.window,
                seed=self.seed,
                epoch=self.epoch,
                part=part,
                parts=self._part_count,
                version=PLAN_VERSIONS[self.shuffle],
                mixed=self.shuffle == "window",
            )
            for part in range(self._part_count)
        ]

    def __len__(self) -> int:
        return -(-self.sample_count // self.global_batch_size)

    def _bounds(self, index: int) -> list[tuple[int, int, int]]:
        """Return the parts, and the ranges in the order of each, that batch `index` takes on this rank."""
        parts = self._part_count
        size = self.global_batch_size // parts

        def of_part(part: int) -> tuple[int, int, int]:
            samples = self.sample_count * (part + 1) // parts - self.sample_count * part // parts
            return part, min(samples, index * size), min(samples, (index + 1) * size)

        if parts == self.world_size:
            return [of_part(self.rank)]
        ranges = [of_part(part) for part in range(parts)]
        total = sum(upper - lower for _, lower, upper in ranges)
        return _cut_out(ranges, total * self.rank // self.world_size, total * (self.rank + 1) // self.world_size)

    def __getitem__(self, index: int) -> Int64Array:
        """Return the samples of batch `index`: int64 (batch,), positions in the store.

        Raises
        ------
        PlanError
            If `index` is not in [0, len(self)).
        """
        if not 0 <= index < len(self):
            raise PlanError(f"batch {index} is not in [0, {len(self)}), the batches of the epoch")
        ranges = self._bounds(index)
        out = np.empty(sum(upper - lower for _, lower, upper in ranges), np.int64)
        filled = 0
        for part, lower, upper in ranges:
            self._parts[part].fill(lower, out[filled : filled + upper - lower])
            filled += upper - lower
        return out


class _WholeOrder:
    """The order of ``full`` or ``none`` of an epoch."""

    def __init__(self, plan: BatchPlan) -> None:
        self._plan = plan
        self._keys = make_keys(PLAN_VERSIONS[plan.shuffle], plan.seed, plan.epoch)

    def fill(self, lower: int, out: Int64Array) -> None:
        """See `store.plans.shard_order.ShardOrder.fill`."""
        plan = self._plan
        if plan.shuffle == "none":
            out[:] = np.arange(plan.start + lower, plan.start + lower + out.size)
        else:
            fill_full(lower, plan.start, plan.sample_count, self._keys, out)


def _cut_out(ranges: list[tuple[int, int, int]], first: int, last: int) -> list[tuple[int, int, int]]:
    """Return the ranges that elements `first` to `last` (excluded) of some ranges, one after another, cover."""
    pieces, before = [], 0
    for part, lower, upper in ranges:
        start, stop = max(lower, lower + first - before), min(upper, lower + last - before)
        if start < stop:
            pieces.append((part, start, stop))
        before += upper - lower
    return pieces
