"""Streams in the worker processes of a PyTorch DataLoader."""

import sys

from store.errors import PlanError
from store.plans.given_plan import EpochPlan


def refuse_copies_in_workers(plan: EpochPlan) -> None:
    """Check that the worker processes of a DataLoader do not all give the same batches.

    Raises
    ------
    PlanError
        If this process is one of several workers, and the plan is that of all samples.
    """
    data = sys.modules.get("torch.utils.data")  # a worker of a DataLoader has imported it
    worker = data and data.get_worker_info()
    if worker and worker.num_workers > 1 and plan.identity.get("world_size") == 1:
        raise PlanError(
            f"each of the {worker.num_workers} workers of this DataLoader would give every sample; give the DataLoader "
            "a calostream.torch.Loader(stream), which shares the batches out"
        )
