"""The batches of some samples of a store: those that pass a cut, or a balanced draw of them."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from store.arrays import Int64Array
from store.plans.balance import Balance
from store.plans.plan import BatchPlan
from store.plans.shuffles import Shuffle


@dataclass(frozen=True, kw_only=True, eq=False)
class SelectedPlan:
    """The batches of one epoch over a list of samples; an `store.plans.given_plan.EpochPlan`.

    The list of an epoch has the selected samples in the order of the store, each once, or with a balance as often as it
    is drawn. A `BatchPlan` orders the list as it would order a range of the store: ``full`` is a permutation of it,
    ``none`` keeps it as it is, and ``chunks`` and ``window`` take runs of the list for shards. A run has as many
    samples of the list as a shard has on average, so that a window still needs few shards.

    Attributes
    ----------
    order
        Plan of the batches over the list, of which it takes the samples for positions from 0.
    position
        int64 (n,), positions of the selected samples in the store, ascending.
    where
        The cut that they pass, in its canonical form; see `store.selection.Cut`. None if all samples of the split are
        selected.
    balance
        Groups that get equal shares of every epoch; None if each sample is used once.
    """

    order: BatchPlan
    position: Int64Array = field(repr=False)
    where: str | None = None
    balance: Balance | None = None

    @property
    def epoch(self) -> int:
        """Epoch of the batches, from 0."""
        return self.order.epoch

    @property
    def start(self) -> int:
        """Lowest position in the store that a sample may have."""
        return int(self.position[0])

    @property
    def stop(self) -> int:
        """One more than the highest position in the store that a sample may have."""
        return int(self.position[-1]) + 1

    @property
    def batch_size(self) -> int:
        """Maximum number of samples per batch."""
        return self.order.batch_size

    @property
    def sample_count(self) -> int:
        """Number of samples in an epoch, over all ranks."""
        return self.order.sample_count

    @property
    def identity(self) -> dict[str, Any]:
        """What determines the batches of every epoch, as JSON values."""
        choice = {"where": self.where, "balance": self.balance and self.balance.by}
        return self.order.identity | {name: value for name, value in choice.items() if value is not None}

    def at_epoch(self, epoch: int) -> "SelectedPlan":
        """Return the plan of another epoch."""
        return replace(self, order=self.order.at_epoch(epoch))

    def divide(self, **changes: int | None) -> "SelectedPlan":
        """Return the plan with another `rank`, `world_size` or `parts`; see `BatchPlan`."""
        return replace(self, order=self.order.divide(**changes))

    def reorder(self, shuffle: Shuffle) -> "SelectedPlan":
        """Return the plan with another order of the list."""
        return replace(self, order=self.order.reorder(shuffle))

    @cached_property
    def _list(self) -> Int64Array:
        if self.balance is None:
            return self.position
        return self.balance.draw(self.position, self.order.seed, self.epoch)

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, index: int) -> Int64Array:
        """Return the samples of batch `index`: int64 (batch,), positions in the store."""
        return self._list[self.order[index]]
