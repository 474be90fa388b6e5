"""Drawing samples so that each group gets a given number of draws, spread evenly over its members."""

import numpy as np

from store.compiled.compiler import compiled
from store.compiled.permutation import permute, sides


@compiled
def fill_draws(position, group, size, first, draws, keys, out):
    """Fill `out` with the drawn positions, in the order of `position`, each as often as it is drawn.

    The members of a group form a cycle in random order, and its draws are consecutive members of that cycle. So each
    member is drawn ``draws // size`` times or once more.

    Parameters
    ----------
    position
        (n,), positions of the samples.
    group
        uint8 (n,), group of each sample.
    size
        int64 (group,), number of members.
    first
        int64 (group,), the member of the cycle with which the draws begin, in [0, size).
    draws
        int64 (group,), number of draws.
    keys
        uint64 (group, 12), keys of the permutation that makes the cycle.
    out
        (sum of draws,), overwritten.
    """
    seen = np.zeros(size.size, np.int64)
    filled = 0
    for k in range(position.size):
        g = group[k]
        n = size[g]
        a, b = sides(n)
        place = permute(seen[g], n, a, b, keys[g]) - first[g]
        seen[g] += 1
        if place < 0:
            place += n
        count = draws[g] // n
        if place < draws[g] % n:
            count += 1
        for _ in range(count):
            out[filled] = position[k]
            filled += 1
