"""From the arguments of a stream to its plan: all samples of a split, those that pass a cut, or a balanced draw."""

from typing import TYPE_CHECKING, TypedDict

import numpy as np

from store.errors import PlanError
from store.plans.balance import Balance
from store.plans.given_plan import EpochPlan, Plan, RepeatedPlan
from store.plans.plan import BatchPlan
from store.plans.selected_plan import SelectedPlan
from store.plans.shuffles import AUTO, AnyShuffle
from store.readers.page_cache import choose_shuffle
from store.selection import Cut, select

if TYPE_CHECKING:
    from store.opening import Store


class SplitOptions(TypedDict, total=False):
    """Keyword arguments of `plan_split`, for functions that pass them on."""

    split: str
    batch_size: int
    shuffle: AnyShuffle
    seed: int
    epoch: int
    rank: int
    world_size: int
    samples: int | None
    where: str | None
    balance: str | None


def choose_plan(store: "Store", plan: Plan | None, options: SplitOptions) -> EpochPlan:
    """Return the given plan, or the one that follows from the options, after checking that it fits the store.

    Raises
    ------
    PlanError
        If both are given, the options do not make a plan, or the plan contains positions outside the store.
    """
    if plan is None:
        plan = plan_split(store, **options)
    elif given := [name for name, value in options.items() if value is not None]:
        raise PlanError(f"plan=... already determines the batches; leave out {', '.join(given)}")
    chosen = plan if isinstance(plan, EpochPlan) else RepeatedPlan.of(plan)
    first, last, samples = chosen.start, chosen.stop - 1, store.image.shape[0]
    if not 0 <= first <= last < samples:
        raise PlanError(f"{store.path}: the plan has positions {first} to {last}, the store 0 to {samples - 1}")
    return chosen


def plan_split(
    store: "Store",
    *,
    split: str,
    batch_size: int,
    shuffle: AnyShuffle = "full",
    seed: int = 0,
    epoch: int = 0,
    rank: int = 0,
    world_size: int = 1,
    samples: int | None = None,
    where: str | None = None,
    balance: str | None = None,
) -> EpochPlan:
    """Return the plan of the batches of a split.

    Parameters
    ----------
    store
        An opened store.
    split
        ``train``, ``validation`` or ``test``.
    batch_size, shuffle, seed, epoch, rank, world_size
        See `store.plans.plan.BatchPlan`. The shuffle may also be ``auto``: ``full`` if there is one rank, and the
        images are on this machine and fit into memory; otherwise ``window``.
    samples
        Number of samples to use, from the beginning of the split; all by default. They are a random subset, since
        stores are shuffled. With `where`, the first that pass.
    where
        Cut on the per-sample columns, such as ``"pt > 100 and m0 < 30"``; see `store.selection`. All samples by
        default.
    balance
        ``"class"`` for equal numbers of each class in every epoch, or the name of a column for a flat spectrum; see
        `store.plans.balance`. By default each sample is used once per epoch.

    Returns
    -------
    EpochPlan
        A `store.plans.plan.BatchPlan`, or with `where` or `balance` a `store.plans.selected_plan.SelectedPlan`.

    Raises
    ------
    PlanError
        If there is no such split or column, a value is out of bounds, `where` is not a cut, or no sample passes it.
    """
    start, stop = store.split_range(split)
    position, passing = None, ""
    if where is not None:
        position, passing = select(store, where, start, stop), f" that pass where={where!r}"
        if not position.size:
            raise PlanError(f"{store.path}: where={where!r} leaves no sample of split {split!r}")
    elif balance is not None:
        position = np.arange(start, stop)
    available = stop - start if position is None else position.size
    if samples is not None and not 1 <= samples <= available:
        raise PlanError(f"samples={samples} is not between 1 and the {available} of split {split!r}{passing}")
    count = available if samples is None else samples
    if shuffle == AUTO:
        shuffle = choose_shuffle(store, start, stop) if world_size == 1 else "window"
    first = start if position is None else 0
    chunk, shard = store.image.chunks[0], (store.image.shards or store.image.chunks)[0]
    if position is not None:  # as many samples of the list as a shard has on average
        span = int(position[count - 1]) + 1 - int(position[0])
        shard = chunk * max(1, round(shard * count / span / chunk))
    order = BatchPlan(
        start=first,
        stop=first + count,
        batch_size=batch_size,
        shuffle=shuffle,
        chunk=chunk,
        shard=shard,
        seed=seed,
        epoch=epoch,
        rank=rank,
        world_size=world_size,
        split=split,
    )
    if position is None:
        return order
    position = position[:count]
    return SelectedPlan(
        order=order,
        position=position,
        where=None if where is None else Cut.parse(where).canonical,
        balance=None if balance is None else Balance.of(balance, store, position),
    )
