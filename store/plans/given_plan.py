"""Plans that users write: what a plan must have, and how a plain one is repeated in every epoch."""

import hashlib
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np

from store.arrays import Int64Array
from store.errors import PlanError


class Plan(Protocol):
    """The batches of an epoch: any object with a length and items, for example a list of arrays.

    Several threads read items at once, and an item must be the same whenever it is read.
    """

    def __len__(self) -> int:
        """Return the number of batches."""

    def __getitem__(self, index: int, /) -> Int64Array:
        """Return the samples of batch `index`: int64 (batch,), positions in the store."""


@runtime_checkable
class EpochPlan(Plan, Protocol):
    """A plan that can differ from epoch to epoch, and whose size and identity are known without reading its batches.

    `store.plans.plan.BatchPlan` is one.
    """

    @property
    def epoch(self) -> int:
        """Epoch of the batches, from 0."""

    @property
    def start(self) -> int:
        """Lowest position in the store that a sample may have."""

    @property
    def stop(self) -> int:
        """One more than the highest position in the store that a sample may have."""

    @property
    def batch_size(self) -> int:
        """Maximum number of samples per batch."""

    @property
    def sample_count(self) -> int:
        """Number of samples in an epoch, over all ranks."""

    @property
    def identity(self) -> dict[str, Any]:
        """JSON values that are equal for two plans only if both have the same batches in every epoch."""

    def at_epoch(self, epoch: int) -> "EpochPlan":
        """Return the plan of another epoch."""


@dataclass(frozen=True, kw_only=True)
class RepeatedPlan:
    """A plan whose batches are the same in every epoch; an `EpochPlan`.

    Attributes
    ----------
    batches
        The plan.
    epoch, start, stop, batch_size, sample_count
        See `EpochPlan`.
    fingerprint
        Sha256 over the positions in all batches.
    """

    batches: Plan
    epoch: int
    start: int
    stop: int
    batch_size: int
    sample_count: int
    fingerprint: str

    @classmethod
    def of(cls, batches: Plan) -> "RepeatedPlan":
        """Return the plan, after reading all of its batches once to check and to identify them.

        Raises
        ------
        PlanError
            If there are no samples, or a batch is not a one-dimensional array of integers.
        """
        digest, sizes, lowest, highest = hashlib.sha256(), [], [], []
        for index in range(len(batches)):
            samples = _as_positions(batches, index)
            digest.update(np.int64(samples.size).tobytes() + samples.tobytes())
            sizes.append(samples.size)
            if samples.size:
                lowest.append(int(samples.min()))
                highest.append(int(samples.max()))
        if not lowest:
            raise PlanError("the plan has no samples")
        return cls(
            batches=batches,
            epoch=0,
            start=min(lowest),
            stop=max(highest) + 1,
            batch_size=max(sizes),
            sample_count=sum(sizes),
            fingerprint=digest.hexdigest(),
        )

    @property
    def identity(self) -> dict[str, Any]:
        """The fingerprint."""
        return {"plan_sha256": self.fingerprint}

    def at_epoch(self, epoch: int) -> "RepeatedPlan":
        """Return the same batches under another epoch number."""
        return replace(self, epoch=epoch)

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> Int64Array:
        """Return the samples of batch `index`: int64 (batch,), positions in the store."""
        return _as_positions(self.batches, index)


def _as_positions(batches: Plan, index: int) -> Int64Array:
    samples = np.asarray(batches[index])
    if samples.ndim != 1 or not (samples.dtype.kind in "iu" or samples.size == 0):
        raise PlanError(
            f"batch {index} of the plan must be integers of shape (batch,), got {samples.dtype} {samples.shape}"
        )
    return np.ascontiguousarray(samples, np.int64)
