"""Where a stream is: the plan of its epoch and the next batch of it, and how both change."""

import os
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from typing import Any, TypeVar

from store.errors import PlanError, StateError
from store.opening import Store
from store.plans.given_plan import EpochPlan
from store.plans.resuming import DividedPlan, continued_plan
from store.plans.shuffles import Shuffle
from store.readers.page_cache import choose_shuffle
from store.worker_processes import refuse_copies_in_workers

Given = TypeVar("Given")
SHOWN = ("split", "samples", "where", "balance", "batch_size", "shuffle", "seed")


class StreamPosition:
    """The position of a `store.stream.BatchStream`, which only one iteration at a time moves.

    Parameters
    ----------
    store
        The store.
    plan
        The batches of the first epoch.
    is_auto
        Whether the order of an epoch is chosen when it begins; see `best_shuffle`.
    """

    def __init__(self, store: Store, plan: EpochPlan, *, is_auto: bool) -> None:
        self.path, self.digest = store.path, store.digest
        self._store, self._is_auto = store, is_auto
        self._plan = self._recent = plan
        self._batch = 0  # the next one of the epoch
        self._iterating: int | None = None  # process that iterates now; a forked one may iterate anew

    @property
    def plan(self) -> EpochPlan:
        """The batches of the current epoch."""
        return self._plan

    @property
    def sample_count(self) -> int:
        """Number of samples in an epoch, over all ranks."""
        return self._plan.sample_count

    @property
    def epoch(self) -> int:
        """Number of the current epoch, from 0."""
        return self._plan.epoch

    def __len__(self) -> int:
        """Return the number of batches in a whole epoch."""
        return len(self._plan)

    def __repr__(self) -> str:
        plan, identity = self._plan, self._plan.identity
        names = (*SHOWN, "rank", "world_size") if identity.get("world_size", 1) > 1 else SHOWN
        words = [f"{name}={identity[name]!r}" for name in names if name in identity]
        if self._is_auto:
            words = [f"{word} (auto)" if word.startswith("shuffle=") else word for word in words]
        if "split" not in identity:
            words.insert(0, f"plan={type(plan).__name__}")
        options = ", ".join([repr(str(self.path)), *words])
        return f"{type(self).__name__}({options}: epoch {plan.epoch}, batch {self._batch} of {len(plan)})"

    def _moving(self, given: Callable[[Sequence[int]], Generator[Given]]) -> Generator[Given]:
        """Yield what `given` yields for the remaining batches of the epoch, moving the position of the stream."""
        plan, owner = self._plan, os.getpid()
        refuse_copies_in_workers(plan)
        if self._iterating == owner:
            raise PlanError(
                "another iteration of this stream is under way: end or close it first, or open a second stream"
            )
        self._iterating = owner
        indices = range(self._batch, len(plan))
        try:
            with closing(given(indices)) as batches:
                for index, batch in zip(indices, batches, strict=True):
                    self._batch = index + 1
                    yield batch
                    del batch
        finally:
            if self._iterating == owner:
                self._iterating = None
        self._plan = self._recent = self._reordered(plan.at_epoch(plan.epoch + 1))
        self._batch = 0

    def _plan_of(self, epoch: int) -> EpochPlan:
        """Return the plan of an epoch, and keep it: a balanced one draws a whole epoch for its first batch."""
        plan = self._recent
        if plan.epoch != epoch:
            plan = self._recent = self._plan.at_epoch(epoch)
        return plan

    def _reordered(self, plan: EpochPlan) -> EpochPlan:
        """Return the plan of a new epoch in the order that is best now, if the stream chooses it by itself."""
        if not self._is_auto or not isinstance(plan, DividedPlan) or plan.identity["world_size"] > 1:
            return plan
        return plan.reorder(self.best_shuffle)

    def divide(self, rank: int, world_size: int) -> None:
        """Take the part of one of several ranks from now on; the batch size is that of each rank.

        Raises
        ------
        PlanError
            If the plan was given and cannot be divided, an iteration is under way, or the stream is in the middle of an
            epoch.
        """
        plan = self._changeable("divide")
        if plan is None:
            raise PlanError("a given plan cannot be divided among ranks: give each rank a plan of its own")
        self._plan = self._recent = plan.divide(rank=rank, world_size=world_size)

    @property
    def best_shuffle(self) -> Shuffle:
        """The order that suits the store now, see `store.readers.page_cache.choose_shuffle`."""
        return choose_shuffle(self._store, self._plan.start, self._plan.stop)

    def reorder(self, shuffle: Shuffle) -> None:
        """Take another order from the current epoch on; with several ranks, all have to take the same.

        Raises
        ------
        PlanError
            If the plan was given, an iteration is under way, or the stream is in the middle of an epoch.
        """
        plan = self._changeable("reorder")
        if plan is None:
            raise PlanError("a given plan already determines the order")
        self._plan = self._recent = plan.reorder(shuffle)

    def _changeable(self, verb: str) -> DividedPlan | None:
        """Return the plan, or None if it was given; refuse a change in the middle of an epoch."""
        if self._iterating == os.getpid():
            raise PlanError(f"an iteration of this stream is under way: end or close it before you {verb} the stream")
        if self._batch:
            raise PlanError(f"the stream is at batch {self._batch} of its epoch: {verb} it before its first batch")
        return self._plan if isinstance(self._plan, DividedPlan) else None

    def state_dict(self) -> dict[str, Any]:
        """Return the position in the stream as JSON values: store, plan, epoch, and number of batches given so far.

        Batches that were only read ahead do not count. A given plan without an identity of its own is identified by the
        sha256 of all its positions.
        """
        return {"store": self.digest, **self._plan.identity, "epoch": self._plan.epoch, "batch": self._batch}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Move to the position at which `state_dict` was called.

        The state may be that of a run with another number of ranks, if a batch over all ranks has as many samples. The
        stream then continues with its share of the same batches over all ranks. With ``shuffle="auto"``, the order of
        the epoch is that of the state.

        Raises
        ------
        StateError
            If the state is of another store or another plan (split, number of samples, cut, balance, samples per batch
            over all ranks, shuffle, seed, plan version), its batch is not one of the epoch, or an iteration is under
            way. The stream is then unchanged.
        """
        if self._iterating == os.getpid():
            raise StateError("an iteration of this stream is under way: end or close it before loading a state")
        if not isinstance(state, Mapping):
            raise StateError(f"a state is what state_dict returned, not {state!r:.60}")
        order = dict(state)
        store = order.pop("store", None)
        if store != self.digest:
            raise StateError(f"the state has store={store!r}, this stream {self.digest!r}")
        plan = self._plan
        if self._is_auto and order.get("shuffle") in ("full", "window") and isinstance(plan, DividedPlan):
            plan = plan.reorder(order["shuffle"])
        self._plan = self._recent = continued_plan(plan, order)
        self._batch = state["batch"]
