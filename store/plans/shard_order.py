"""The order of ``window`` and ``chunks``: local to a few shards at a time, and each shard is needed once per epoch."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from store.arrays import Int64Array
from store.compiled.permutation import Keys, fill_group, invert_one, make_keys, permutation, permute_one

KEPT = 4  # groups whose chunks are kept: those of the batches being read, and of those that are looked up ahead
SHARDS, SLOTS, GROUP = range(3)  # words that tell apart the keys of what is permuted


@dataclass(frozen=True, kw_only=True)
class Pieces:
    """Pieces of equal size in random order, but for a few that are smaller or larger.

    Attributes
    ----------
    count
        Number of pieces.
    size
        Samples per piece.
    uneven
        Samples that some pieces have more than `size`, by their numbers; negative for smaller pieces.
    keys
        Keys of the permutation.
    """

    count: int
    size: int
    uneven: dict[int, int]
    keys: Keys

    def piece(self, place: int) -> int:
        """Return the number of the piece at a place of the order."""
        return int(permute_one(place, self.count, self.keys))

    @cached_property
    def places(self) -> dict[int, int]:
        """The places of the uneven pieces, by their numbers."""
        return {piece: int(invert_one(piece, self.count, self.keys)) for piece in self.uneven}

    def before(self, place: int) -> int:
        """Return the number of samples before a place of the order."""
        return place * self.size + sum(self.uneven[piece] for piece, where in self.places.items() if where < place)

    def find(self, position: int) -> int:
        """Return the place of the piece that has a position of the order."""
        place = min(self.count - 1, position // self.size)
        while self.before(place) > position:
            place -= 1
        while self.before(place + 1) <= position:
            place += 1
        return place


@dataclass(frozen=True, kw_only=True)
class Group:
    """A few shards whose chunks are mixed.

    Attributes
    ----------
    begin
        int64 (chunk,), first sample of each chunk, in the order of the chunks.
    before
        int64 (chunk + 1,), number of samples of the group before each chunk.
    keys
        Keys of the windows.
    """

    begin: Int64Array
    before: Int64Array
    keys: Keys


@dataclass(frozen=True, kw_only=True)
class ShardOrder:
    """The order of one epoch of the samples of [start, stop), of which each of several parts has its own shards.

    The shards, in an order that is the same in every epoch, are cut into parts of equal numbers of samples, so that a
    rank keeps its shards. In each epoch, the shards of a part are ordered anew and form groups, just large enough for
    one window. The chunks of a group are ordered at random, and then, with `mixed`, the samples within windows of whole
    chunks.

    A shard of which the range or the part has less than a window goes together with the one beside it, so that its few
    samples are not always among themselves.

    Attributes
    ----------
    start, stop, chunk, shard, window, seed, epoch, parts
        See `store.plans.plan.BatchPlan`.
    part
        Number of the part.
    version
        Version of the order.
    mixed
        Whether samples are mixed within windows.
    """

    start: int
    stop: int
    chunk: int
    shard: int
    window: int
    seed: int
    epoch: int
    part: int
    parts: int
    version: int
    mixed: bool
    _groups: dict[int, Group] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __len__(self) -> int:
        return self._stop - self._start

    @property
    def _start(self) -> int:
        return (self.stop - self.start) * self.part // self.parts

    @property
    def _stop(self) -> int:
        return (self.stop - self.start) * (self.part + 1) // self.parts

    @cached_property
    def _shards(self) -> tuple[int, Pieces]:
        """First whole shard, and all shards of the range in the order that is the same in every epoch."""
        first, last = self.start // self.shard, (self.stop - 1) // self.shard
        first, count = self._joined(first, last, (first + 1) * self.shard - self.start, self.stop - last * self.shard)
        edges = {0: self.start - first * self.shard}
        uneven = {0: -edges[0]}
        uneven[count - 1] = uneven.get(count - 1, 0) + self.stop - (first + count) * self.shard
        return first, Pieces(
            count=count, size=self.shard, uneven=uneven, keys=make_keys(self.version, SHARDS, self.seed)
        )

    @cached_property
    def _slots(self) -> tuple[int, Pieces]:
        """First place in the order of shards, and the shards of the part in the order of this epoch."""
        _, shards = self._shards
        first, last = shards.find(self._start), shards.find(self._stop - 1)
        first, count = self._joined(
            first, last, shards.before(first + 1) - self._start, self._stop - shards.before(last)
        )
        numbers = {0, count - 1, *(place - first for place in shards.places.values() if 0 <= place - first < count)}
        edges = {k: self._slot_edge(first, count, k) for number in numbers for k in (number, number + 1)}
        uneven = {number: edges[number + 1] - edges[number] - self.shard for number in sorted(numbers)}
        keys = make_keys(self.version, SLOTS, self.seed, self.epoch, self.part)
        return first, Pieces(count=count, size=self.shard, uneven=uneven, keys=keys)

    def _slot_edge(self, first: int, count: int, number: int) -> int:
        """Return where a shard of the part begins in the order of shards."""
        inner = self._shards[1].before(first + number) if 0 < number < count else self._start
        return self._stop if number == count else inner

    def _joined(self, first: int, last: int, head: int, tail: int) -> tuple[int, int]:
        """Return the first of some pieces and their number, after joining short ends to the pieces beside them."""
        if first < last and head < self.window:
            first += 1
        if first < last and tail < self.window:
            last -= 1
        return first, last - first + 1

    def _ranges(self, slot: int) -> Iterator[tuple[int, int]]:
        """Yield the ranges of samples of a shard of the part; more than one if a short end is joined to it."""
        (first_shard, shards), (first, slots) = self._shards, self._slots
        position, stop = (self._slot_edge(first, slots.count, slot + step) for step in (0, 1))
        while position < stop:
            place = shards.find(position)
            number, before, after = shards.piece(place), shards.before(place), shards.before(place + 1)
            begin = self.start if number == 0 else (first_shard + number) * self.shard
            yield begin + position - before, begin + min(after, stop) - before
            position = after

    @property
    def _group_count(self) -> int:
        return max(1, self._slots[1].count // -(-self.window // self.shard))

    def _group_edge(self, number: int) -> int:
        return self._slots[1].count * number // self._group_count

    def _group(self, number: int) -> Group:
        group = self._groups.get(number)
        if group is None:
            group = self._make_group(number)
            for old in list(self._groups)[: 1 - KEPT]:
                self._groups.pop(old, None)
            self._groups[number] = group
        return group

    def _make_group(self, number: int) -> Group:
        slots = (self._slots[1].piece(place) for place in range(self._group_edge(number), self._group_edge(number + 1)))
        begins, ends = [], []
        for first, last in itertools.chain.from_iterable(map(self._ranges, slots)):
            inner = np.arange((first // self.chunk + 1) * self.chunk, last, self.chunk)
            begins.append(np.concatenate([[first], inner]))
            ends.append(np.concatenate([inner, [last]]))
        begin, end = np.concatenate(begins), np.concatenate(ends)
        keys = make_keys(self.version, GROUP, self.seed, self.epoch, self.part, number)
        order = permutation(begin.size, keys)
        return Group(begin=begin[order], before=np.append(0, np.cumsum((end - begin)[order])), keys=keys)

    def fill(self, lower: int, out: Int64Array) -> None:
        """Fill an array, int64 (m,), with the samples from place `lower` of the order of the part on."""
        slots, filled = self._slots[1], 0
        window_chunks = -(-self.window // self.chunk) if self.mixed else 0
        while filled < out.size:
            number = ((slots.find(lower + filled) + 1) * self._group_count - 1) // slots.count
            group, before = self._group(number), slots.before(self._group_edge(number))
            offset = lower + filled - before
            stop = min(out.size, filled + int(group.before[-1]) - offset)
            fill_group(offset, group.begin, group.before, self.chunk, window_chunks, group.keys, out[filled:stop])
            filled = stop
