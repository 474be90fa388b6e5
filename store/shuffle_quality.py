"""How good a shuffle is, as numbers computed from the plan alone."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from store.plan import BatchPlan


@dataclass(frozen=True, kw_only=True)
class ShuffleQuality:
    """Two ratios that are 1 for a random permutation of all samples, up to fluctuation.

    Attributes
    ----------
    companions
        How often two samples of one batch share a batch in the next epoch too, relative to a random permutation;
        1 / `companions` is about the share of the split that a sample's next companions are drawn from.
    balance
        Variance of the number of class-1 samples in a batch, relative to drawing batches without replacement
        (a chi-square per degree of freedom).
    """

    companions: float
    balance: float


def shuffle_quality(plan: BatchPlan, label: npt.NDArray[np.uint8]) -> ShuffleQuality:
    """Compute both ratios for an epoch of a plan and the next.

    Parameters
    ----------
    plan
        One rank of a world of one.
    label
        uint8 (n,), classes of the plan's samples, both present.

    Raises
    ------
    ValueError
        If there is only one batch, so that nothing can be said.
    """
    n, batches = plan.sample_count, len(plan)
    if batches < 2:
        raise ValueError(f"{n} samples in batches of {plan.batch_size} are one batch")
    following = batch_numbers(replace(plan, epoch=plan.epoch + 1))
    together = pairs = 0
    deviations = []
    share = float(label.mean())
    for index in range(batches):
        samples = plan[index] - plan.start
        size = samples.size
        counts = np.bincount(following[samples], minlength=batches)
        together += int((counts * (counts - 1)).sum())
        pairs += size * (size - 1)
        if 1 < size < n:
            expected = size * share * (1 - share) * (n - size) / (n - 1)
            deviations.append((float(label[samples].sum()) - size * share) ** 2 / expected)
    sizes = np.bincount(following, minlength=batches).astype(np.float64)
    by_chance = float((sizes * (sizes - 1)).sum()) / (n * (n - 1))
    return ShuffleQuality(companions=together / pairs / by_chance, balance=float(np.mean(deviations)))


def batch_numbers(plan: BatchPlan) -> npt.NDArray[np.int64]:
    """Return the batch that each sample of the split is in: int64 (n,)."""
    numbers = np.empty(plan.sample_count, np.int64)
    for index in range(len(plan)):
        numbers[plan[index] - plan.start] = index
    return numbers
