"""Which shards of a remote store a stream needs: told ahead, so that they are fetched while earlier ones are read."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from store.console import say
from store.errors import PlanError
from store.opening import Store
from store.plans.given_plan import EpochPlan
from store.readers.page_cache import stored_shards
from store.remote.space import KEPT

AHEAD_BYTES = 256 << 20  # of shards beyond those of the batch that is read next: seconds of a fast link
MOST_OF_ROOM = 0.5  # of the cache, for these shards
LOOKED_AT = 64  # batches
MOST_RECENT = 1000  # shards


@dataclass
class Use:
    """The first and the last batch that need a shard, as far as the batches were looked up."""

    first: int
    last: int


class ShardsAhead:
    """Tells the shards of a remote store which of them the coming batches need.

    For a store in a folder, or once all shards are on this machine, it does nothing.

    Parameters
    ----------
    store
        The store.
    plan
        The batches of the epoch.
    indices
        Numbers of the batches that will be read, in order.
    """

    def __init__(self, store: Store, plan: EpochPlan, indices: Sequence[int]) -> None:
        self._shards, self._plan, self._indices = store.shards, plan, indices
        self._per_shard = (store.image.shards or store.image.chunks)[0]
        self._uses: dict[int, Use] = {}  # in order of first use
        self._looked_up = 0
        self._count, self._allowed = 0, 0.0  # all shards, and those that are told beyond those of the next batch
        if self._shards.room is not None:
            needed = stored_shards(store, plan.start, plan.stop)
            if self._shards.absent(needed):
                self._count = len(needed)
                shard_bytes = max(1, store.image_bytes) / self._shards.count
                self._allowed = max(1.0, min(AHEAD_BYTES, MOST_OF_ROOM * self._shards.room) / shard_bytes)
            else:
                self._shards.expect(needed)  # so that they count as used

    def advance(self, number: int) -> None:
        """Tell what is needed from the batch on that is the given one among those that will be read."""
        if not self._count:
            return
        passed = [shard for shard, use in self._uses.items() if use.last < number]
        for shard in passed:
            del self._uses[shard]
        while self._looked_up <= number:
            self._look_up()
        known = len(self._uses)
        if number == 0:
            self._shards.expect(list(self._uses))
        while not self._is_enough(number):
            self._look_up()
        if len(self._uses) > known or passed:
            self._shards.expect(list(self._uses))

    def _is_enough(self, number: int) -> bool:
        ahead = sum(use.first > number for use in self._uses.values())
        return self._looked_up >= len(self._indices) or len(self._uses) == self._count or ahead >= self._allowed

    def _look_up(self) -> None:
        """Note which shards the next batch needs."""
        number, self._looked_up = self._looked_up, self._looked_up + 1
        for shard in np.unique(self._plan[self._indices[number]] // self._per_shard).tolist():
            if not self._shards.is_zeros(shard):
                self._uses.setdefault(shard, Use(number, number)).last = number


def check_room(store: Store, plan: EpochPlan) -> None:
    """Check that the cache holds what a plan needs of a remote store, if it needs all of it at once.

    A line on the terminal says so if it does not hold the shards that another plan needs at a time.

    Raises
    ------
    PlanError
        If it does not.
    """
    if store.shards.room is None:
        return
    if plan.identity.get("shuffle") != "full":
        _compare_room(store, plan, store.shards.room)
        return
    others = store.stored_bytes - store.image_bytes
    needed = len(stored_shards(store, plan.start, plan.stop))
    size = others + store.image_bytes * needed / store.shards.count
    if size > store.shards.room:
        raise PlanError(
            f"{store.path}: shuffle='full' needs about {size / 1e9:,.3g} GB of it on this machine, the cache takes "
            f"{store.shards.room / 1e9:,.3g} GB; raise --cache-size (CALOSTREAM_CACHE_SIZE), or take shuffle='window'"
        )


def _compare_room(store: Store, plan: EpochPlan, room: int) -> None:
    """Say in one line if the shards that a plan needs at a time do not fit into the cache."""
    if store.stored_bytes <= room:
        return
    others, shard_bytes = store.stored_bytes - store.image_bytes, store.image_bytes / store.shards.count
    needed, fitting = shards_at_a_time(store, plan), max(0, int((KEPT * room - others) / shard_bytes))
    if needed > max(1, fitting):
        size = min(store.stored_bytes, others + 2 * needed * shard_bytes) / KEPT  # with the next ones, read ahead
        _say_once(
            f"{store.path}: its order needs {needed:,} shards at a time, the cache holds {fitting:,}, so shards are "
            f"fetched several times per epoch; --cache-size {int(size / 1e6) + 1}MB (CALOSTREAM_CACHE_SIZE) is enough"
        )


@functools.cache
def _say_once(text: str) -> None:
    say(text)


def shards_at_a_time(store: Store, plan: EpochPlan) -> int:
    """Return how many shards must be kept so that none is fetched twice for the first batches of an epoch.

    Parameters
    ----------
    store
        The store.
    plan
        The batches; up to `LOOKED_AT` of them are looked at.
    """
    per_shard = (store.image.shards or store.image.chunks)[0]
    recent: list[int] = []  # shards, the one used last at the end
    most = 0
    for number in range(min(len(plan), LOOKED_AT)):
        shards = np.unique(plan[number] // per_shard).tolist()
        most = max(most, len(shards), *(len(recent) - recent.index(shard) for shard in shards if shard in recent), 0)
        recent = [shard for shard in recent if shard not in shards][-MOST_RECENT:] + shards
    return most


def fetch_all(store: Store, plan: EpochPlan) -> None:
    """Fetch what a plan needs of a remote store, if it needs all of it at once; a line on the terminal says so."""
    if store.shards.room is None or plan.identity.get("shuffle") != "full":
        return
    needed = stored_shards(store, plan.start, plan.stop)
    absent = store.shards.absent(needed)
    if not absent:
        return
    check_room(store, plan)
    say(f"{store.path}: fetching {len(absent):,} of {len(needed):,} shards; shuffle='full' needs all of them at once")
    store.shards.expect(absent)
    for shard in absent:
        store.shards.file(shard)
