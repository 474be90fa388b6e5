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
from store.compiled.permutation import Keys, fill_chunks, fill_full, make_keys
from store.errors import PlanError
from store.shuffles import SHUFFLES, Shuffle

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
    parts
        With ``window`` and ``chunks``, number of parts into which the epoch's order is divided; as many as ranks by
        default. With another number, batch i over all ranks consists of batch i of each part, and the ranks share it
        as with ``full``. So a run may continue with another number of ranks and the same batches over all of them.
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
    parts: int | None = None
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
        if self.parts is not None and (self.parts < 1 or self.global_batch_size % self.parts):
            raise PlanError(
                f"parts={self.parts} does not divide the {self.global_batch_size} samples of a batch over all ranks"
            )

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
        if self.parts is None:
            del values["parts"]
        if self.split is not None:  # the store and its split's name determine where the range starts
            del values["start"], values["stop"]
            values["samples"] = self.sample_count
        return {"plan_version": PLAN_VERSION, **values}

    def at_epoch(self, epoch: int) -> "BatchPlan":
        """Return the plan of another epoch."""
        return replace(self, epoch=epoch)

    def divide(self, **changes: int | None) -> "BatchPlan":
        """Return the plan with another `rank`, `world_size` or `parts`."""
        return replace(self, **changes)  # type: ignore[arg-type]

    @cached_property
    def _keys(self) -> Keys:
        return make_keys(PLAN_VERSION, self.seed, self.epoch)

    def __len__(self) -> int:
        return -(-self.sample_count // self.global_batch_size)

    def bounds(self, index: int) -> list[tuple[int, int]]:
        """Return the ranges in the epoch's order that batch `index` takes on this rank.

        Raises
        ------
        PlanError
            If `index` is not in [0, len(self)).
        """
        if not 0 <= index < len(self):
            raise PlanError(f"batch {index} is not in [0, {len(self)}), the batches of the epoch")
        n, parts = self.sample_count, 1 if self.shuffle in ("full", "none") else self.parts or self.world_size
        size = self.global_batch_size // parts

        def of_part(part: int) -> tuple[int, int]:
            first, last = n * part // parts, n * (part + 1) // parts
            return min(last, first + index * size), min(last, first + (index + 1) * size)

        if parts == self.world_size:
            return [of_part(self.rank)]
        ranges = [of_part(part) for part in range(parts)]
        total = sum(upper - lower for lower, upper in ranges)
        return _cut_out(ranges, total * self.rank // self.world_size, total * (self.rank + 1) // self.world_size)

    def __getitem__(self, index: int) -> Int64Array:
        """Return the samples of batch `index`: int64 (batch,), positions in the store."""
        ranges = self.bounds(index)
        out = np.empty(sum(upper - lower for lower, upper in ranges), np.int64)
        filled = 0
        for lower, upper in ranges:
            self._fill(lower, out[filled : filled + upper - lower])
            filled += upper - lower
        return out

    def _fill(self, lower: int, out: Int64Array) -> None:
        """Fill an array with the samples from place `lower` of the epoch's order on."""
        if self.shuffle == "none":
            out[:] = np.arange(self.start + lower, self.start + lower + out.size)
        elif self.shuffle == "full":
            fill_full(lower, self.start, self.sample_count, self._keys, out)
        else:
            window_chunks = -(-self.window // self.chunk) if self.shuffle == "window" else 0
            fill_chunks(lower, self.start, self.stop, self.chunk, window_chunks, self._keys, out)


def _cut_out(ranges: list[tuple[int, int]], first: int, last: int) -> list[tuple[int, int]]:
    """Return the ranges that elements `first` to `last` (excluded) of some ranges, one after another, cover."""
    pieces, before = [], 0
    for lower, upper in ranges:
        start, stop = max(lower, lower + first - before), min(upper, lower + last - before)
        if start < stop:
            pieces.append((start, stop))
        before += upper - lower
    return pieces
