"""How random a shuffle is, computed from the plan without reading any image."""

from dataclasses import dataclass

import numpy as np

from store.arrays import Int64Array, UInt8Array
from store.plans.plan import BatchPlan


@dataclass(frozen=True, kw_only=True)
class ShuffleQuality:
    """Two ratios that are 1 for a random permutation of all samples, up to statistical fluctuations.

    Attributes
    ----------
    companions
        How often two samples of the same batch are in the same batch in the next epoch as well, relative to a random
        permutation. In the next epoch, a sample can share its batch only with a fraction of about 1 / `companions`
        of the split.
    balance
        Variance of the number of samples of each class per batch, relative to batches drawn without replacement: a
        chi-square per degree of freedom.
    """

    companions: float
    balance: float


def shuffle_quality(plan: BatchPlan, label: UInt8Array) -> ShuffleQuality:
    """Compute both ratios from two successive epochs of a plan.

    Parameters
    ----------
    plan
        The plan at the first of the two epochs, with ``world_size=1``.
    label
        Classes of all samples of the plan, uint8 (n,), in the order of the store; at least two must be present.

    Returns
    -------
    ShuffleQuality
        How often samples of a batch meet again, and how balanced the classes of batches are.

    Raises
    ------
    ValueError
        If the plan has only one batch, for which the ratios are not defined.

    Examples
    --------
    >>> plan = cs.BatchPlan(start=0, stop=4096, batch_size=64, shuffle="none", chunk=64)
    >>> label = np.random.default_rng(0).integers(2, size=4096).astype(np.uint8)
    >>> quality = cs.shuffle_quality(plan, label)  # the same batches in every epoch
    >>> round(quality.companions)
    65
    """
    n, batches = plan.sample_count, len(plan)
    if batches < 2:
        raise ValueError(
            f"shuffle quality needs two batches, but {n} samples with batch_size={plan.batch_size} form one"
        )
    following = batch_numbers(plan.at_epoch(plan.epoch + 1))
    together = pairs = 0
    chi_squares = []
    classes, code = np.unique(label, return_inverse=True)
    share = np.bincount(code) / n
    for index in range(batches):
        samples = plan[index] - plan.start
        size = samples.size
        counts = np.bincount(following[samples], minlength=batches)
        together += int((counts * (counts - 1)).sum())
        pairs += size * (size - 1)
        if 1 < size < n:
            deviation = np.bincount(code[samples], minlength=len(classes)) - size * share
            chi_squares.append(float((deviation**2 / (size * share)).sum()) * (n - 1) / (n - size))
    sizes = np.bincount(following, minlength=batches).astype(np.float64)
    by_chance = float((sizes * (sizes - 1)).sum()) / (n * (n - 1))
    balance = float(np.mean(chi_squares)) / (len(classes) - 1)
    return ShuffleQuality(companions=together / pairs / by_chance, balance=balance)


def batch_numbers(plan: BatchPlan) -> Int64Array:
    """Return, for each sample of the plan, the number of its batch: int64 (n,)."""
    numbers = np.empty(plan.sample_count, np.int64)
    for index in range(len(plan)):
        numbers[plan[index] - plan.start] = index
    return numbers
