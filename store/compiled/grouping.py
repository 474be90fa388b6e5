"""Which group of samples goes to which split: the compiled loop behind `ingest.groups`."""

import numpy as np

from store.compiled.compiler import compiled


@compiled
def assign_groups(order, first, label, count, targets, out):
    """Assign groups to splits one after another, each where it keeps the numbers of samples closest to their targets.

    Closest means the smallest sum over splits and classes of (samples - target)^2 / target, which is Pearson's
    chi-squared. Of equal ones, the first split is taken.

    Parameters
    ----------
    order
        int64 (group,), the groups in the order in which they are assigned.
    first
        int64 (group + 1,), where the entries of each group begin in `label` and `count`.
    label, count
        int64 (entry,), a class and the number of samples of that class in the group.
    targets
        float64 (split, class), above 0.
    out
        uint8 (group,), receives the split of each group.
    """
    placed = np.zeros(targets.shape)
    for group in order:
        best, least = 0, np.inf
        for split in range(targets.shape[0]):
            growth = 0.0  # of chi-squared, up to a term that is the same for all splits
            for entry in range(first[group], first[group + 1]):
                k, samples = label[entry], count[entry]
                growth += samples * (2 * placed[split, k] + samples) / targets[split, k]
            if growth < least:
                best, least = split, growth
        out[group] = best
        for entry in range(first[group], first[group + 1]):
            placed[best, label[entry]] += count[entry]
