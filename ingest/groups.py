"""Dividing samples so that all samples of a group, such as the images of one event, are in the same split."""

import numpy as np

from store.arrays import Int64Array, UInt8Array
from store.compiled.grouping import assign_groups
from store.compiled.permutation import make_keys, permutation
from store.console import say
from store.datasets import SPLITS

BETWEEN_GROUPS = 2000  # keeps the keys that order groups apart from those that shuffle classes and splits
NOTED = 0.1  # deviation of a split from its target, relative to the target, from which a line says so


def divide_groups(
    group: Int64Array, label: UInt8Array, fractions: tuple[float, float, float], seed: int, classes: int
) -> UInt8Array:
    """Return the split of each sample, so that samples with the same number of a group are in the same split.

    The groups are taken from the largest to the smallest, in random order where the sizes are within the same power of
    two. Each goes to the split where it keeps the number of samples of its classes closest to `fractions` of all
    samples of these classes; see `store.compiled.grouping.assign_groups`. For groups of one sample this is the division
    of seats by Sainte-Laguë's method, which misses no target by more than about one sample.

    The result depends on the seed and on which samples are in which group, and not on the order of the samples.

    Parameters
    ----------
    group
        int64 (n,), number of the group of each sample.
    label
        uint8 (n,), class of each sample.
    fractions
        Fractions of training, validation and test, which add up to 1.
    seed
        Seed of the order of the groups.
    classes
        Number of classes; each has a sample.

    Returns
    -------
    numpy.ndarray
        uint8 (n,), 0 train, 1 validation, 2 test.
    """
    numbers, member = np.unique(group, return_inverse=True)
    entries, count = np.unique(member * classes + label, return_counts=True)
    owner, entry_label = np.divmod(entries, classes)
    first = np.searchsorted(owner, np.arange(numbers.size + 1))
    _, octave = np.frexp(np.bincount(member))
    order = permutation(numbers.size, make_keys(seed, BETWEEN_GROUPS))
    order = order[np.argsort(-octave[order], kind="stable")]
    targets = np.outer(fractions, np.bincount(label, minlength=classes))
    assigned = np.empty(numbers.size, np.uint8)
    assign_groups(order, first, entry_label, count, targets, assigned)
    _note_deviations(np.bincount(assigned[member], minlength=len(SPLITS)), fractions)
    return assigned[member]


def _note_deviations(sizes: Int64Array, fractions: tuple[float, float, float]) -> None:
    """Say which splits are far from what was asked, as they are if there are few groups or some are large."""
    shares = sizes / sizes.sum()
    if any(abs(share - wanted) > NOTED * wanted for share, wanted in zip(shares, fractions, strict=True)):
        given = ", ".join(f"{name} {share:.1%}" for name, share in zip(SPLITS, shares, strict=True))
        say(f"groups are too few or too large to divide the samples as asked; got {given}")
