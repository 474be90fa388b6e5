"""Which samples make which batch: pure arithmetic, the same on every machine and in both frameworks.

The order of an epoch is a permutation of the samples of a split. Nothing of it is stored: batch i is computed from
(seed, epoch, rank) without the batches before it, which is what makes exact resume, equal streams and random access.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from store.compiled.permutation import Keys, fill_chunks, fill_full, make_keys
from store.errors import PlanError

PLAN_VERSION = 1
Shuffle = Literal["full", "window", "chunks", "none"]
SHUFFLES: tuple[Shuffle, ...] = get_args(Shuffle)


@dataclass(frozen=True, kw_only=True)
class BatchPlan:
    """The batches of one epoch on one rank.

    Every sample of [start, stop) appears exactly once an epoch over all ranks, and every rank has the same number of
    batches. All batches have `batch_size` samples but the last, which has what is left; with several ranks the rest is
    shared out evenly, so the last batch of some ranks may be one sample shorter than that of others, or empty.

    ``full`` and ``none``: batch i over all ranks is one run of ``world_size * batch_size`` positions of the epoch's
    order, of which rank r takes the r-th part; so two ranks see in a step what one rank with twice the batch would.
    ``window`` and ``chunks``: rank r takes the r-th part of the epoch's order, so that it reads only its own chunks.

    Attributes
    ----------
    start, stop
        The split's range of samples in the store.
    batch_size
        Samples a batch on this rank.
    shuffle
        ``full``: a permutation of all samples. ``window``: chunks in random order and a permutation inside windows of
        whole chunks, at least `window` samples each. ``chunks``: chunks in random order, stored order inside.
        ``none``: stored order.
    chunk
        Samples in a chunk of the store.
    window
        Samples in a window; rounded up to whole chunks.
    seed, epoch
        Choose the permutation.
    rank, world_size
        This process among those that share the epoch.

    Raises
    ------
    PlanError
        If a value is out of its bounds, or an index is not a batch of the plan.
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

    def __post_init__(self) -> None:
        if self.shuffle not in SHUFFLES:
            raise PlanError(f"unknown shuffle {self.shuffle!r}; known: {', '.join(SHUFFLES)}")
        for name, least in (("batch_size", 1), ("chunk", 1), ("window", 1), ("seed", 0), ("epoch", 0), ("start", 0)):
            if getattr(self, name) < least:
                raise PlanError(f"{name}={getattr(self, name)} is below {least}")
        if self.stop <= self.start:
            raise PlanError(f"no samples between start={self.start} and stop={self.stop}")
        if not 0 <= self.rank < self.world_size:
            raise PlanError(f"rank={self.rank} is not one of the {self.world_size} ranks 0 to {self.world_size - 1}")

    @property
    def sample_count(self) -> int:
        """Samples of the split, over all ranks."""
        return self.stop - self.start

    @property
    def _shares_batches(self) -> bool:
        return self.shuffle in ("full", "none")

    @cached_property
    def _keys(self) -> Keys:
        return make_keys(PLAN_VERSION, self.seed, self.epoch)

    def __len__(self) -> int:
        return -(-self.sample_count // (self.batch_size * self.world_size))

    def bounds(self, index: int) -> tuple[int, int]:
        """Return the range of positions in the epoch's order that batch `index` takes.

        Raises
        ------
        PlanError
            If `index` is not in [0, len(self)).
        """
        if not 0 <= index < len(self):
            raise PlanError(f"batch {index} is not one of the {len(self)} batches of the epoch")
        n, ranks = self.sample_count, self.world_size
        if self._shares_batches:
            first = index * ranks * self.batch_size
            size = min(n - first, ranks * self.batch_size)
            return first + size * self.rank // ranks, first + size * (self.rank + 1) // ranks
        first, last = n * self.rank // ranks, n * (self.rank + 1) // ranks
        return min(last, first + index * self.batch_size), min(last, first + (index + 1) * self.batch_size)

    def __getitem__(self, index: int) -> npt.NDArray[np.int64]:
        """Return the samples of batch `index`: int64 (batch,), positions in the store."""
        lower, upper = self.bounds(index)
        out = np.empty(upper - lower, np.int64)
        if self.shuffle == "none":
            out[:] = np.arange(self.start + lower, self.start + upper)
        elif self.shuffle == "full":
            fill_full(lower, self.start, self.sample_count, self._keys, out)
        else:
            cells = -(-self.window // self.chunk) if self.shuffle == "window" else 0
            fill_chunks(lower, self.start, self.stop, self.chunk, cells, self._keys, out)
        return out
