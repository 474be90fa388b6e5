"""Balanced epochs: classes in equal numbers, or a flat spectrum of a variable.

The samples are sorted into K groups, which are the classes, or bins of a variable. An epoch of N samples has N / K
draws from each group, rounded down or up, whatever the sizes of the groups. This is systematic resampling: the members
of a group form a cycle in an order that depends on the seed, and each epoch continues along the cycle where the one
before it ended. In epoch e, group k gives the members from ``(e N + k) // K`` up to ``((e + 1) N + k) // K`` of its
cycle. So over any number of epochs, each member of a group is drawn equally often, to within one.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from store.arrays import Float64Array, Int64Array, UInt8Array
from store.compiled.draws import fill_draws
from store.compiled.permutation import make_keys
from store.errors import PlanError
from store.sample_columns import read_columns

if TYPE_CHECKING:
    from store.opening import Store

CLASS = "class"
BINS = 20
TAIL = 0.01  # fraction of the samples below the first inner edge, and above the last
DRAWS_VERSION = 1
DRAWS = 1  # a word that tells the keys of the cycles from those of the order


@dataclass(frozen=True, kw_only=True, eq=False)
class Balance:
    """Groups that get equal shares of every epoch.

    Attributes
    ----------
    by
        ``class``, or the name of a column.
    group
        uint8 (n,), group of each sample.
    size
        int64 (group,), number of samples in each group, none of them 0.
    """

    by: str
    group: UInt8Array
    size: Int64Array

    @classmethod
    def of(cls, by: str, store: "Store", position: Int64Array) -> "Balance":
        """Return the groups of some samples of a store.

        Parameters
        ----------
        by
            ``class``, or the name of a column for a flat spectrum: 20 bins of equal width between the first and the
            last percentile of its values. The samples beyond them count in the outermost bins, and empty bins do not
            count.
        store
            An opened store.
        position
            int64 (n,), positions of the samples, ascending.

        Raises
        ------
        PlanError
            If there is no such column, one of its values is not finite, or all samples are in one group.
        """
        if not isinstance(by, str):
            raise PlanError(f"balance={by!r} is neither 'class' nor the name of a column")
        start, stop = int(position[0]), int(position[-1]) + 1
        column = "label" if by == CLASS else by
        setting = f"balance={by!r}"
        values = read_columns(store, column, start, stop, setting)[column][position - start]
        if column == "label":
            code = values
        else:
            finite = np.isfinite(values)
            if not finite.all():
                wrong = int(np.argmin(finite))
                raise PlanError(f"{store.path}: {setting}: {by} of sample {position[wrong]} is {values[wrong]}")
            if values.dtype.kind in "iu":  # float64 holds differences of large numbers better than the numbers
                values = values.astype(np.uint64) - values.min().astype(np.uint64)
            code = _bins(values.astype(np.float64))
        size = np.bincount(code)
        present = np.flatnonzero(size)
        if len(present) < 2:
            raise PlanError(f"{store.path}: {setting}: all {len(position)} samples have the same {by}")
        group = np.zeros(size.size, np.uint8)
        group[present] = np.arange(len(present))
        return cls(by=by, group=group[code], size=size[present].astype(np.int64))

    def draw(self, position: Int64Array, seed: int, epoch: int) -> Int64Array:
        """Return the positions, int64 (n,), that an epoch draws from n samples, in the order of these samples.

        Parameters
        ----------
        position
            int64 (n,), positions of the samples, in the order of `group`.
        seed, epoch
            The two numbers that determine the draws.
        """
        groups, samples = range(self.size.size), position.size
        first = np.array([(epoch * samples + k) // len(groups) for k in groups], np.int64)
        last = np.array([((epoch + 1) * samples + k) // len(groups) for k in groups], np.int64)
        keys = np.stack([make_keys(DRAWS_VERSION, seed, k, DRAWS) for k in groups])
        drawn = np.empty_like(position)
        fill_draws(position, self.group, self.size, first % self.size, last - first, keys, drawn)
        return drawn


def _bins(values: Float64Array) -> UInt8Array:
    """Return the bin of each value, from 0 to BINS - 1."""
    low, high = np.quantile(values, (TAIL, 1 - TAIL), method="nearest")
    if low == high:
        low, high = values.min(), values.max()
    if low == high:
        return np.zeros(values.size, np.uint8)
    with np.errstate(over="ignore"):
        bins: UInt8Array = np.clip((values - low) / (high - low) * BINS, 0, BINS - 1).astype(np.uint8)
    return bins
