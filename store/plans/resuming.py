"""Whether a saved state belongs to a stream, and the plan with which the stream continues from it."""

from collections.abc import Mapping
from typing import Any, Protocol, TypeGuard, runtime_checkable

from store.errors import StateError
from store.plans.given_plan import EpochPlan
from store.plans.shuffles import Shuffle

POSITION = ("epoch", "batch")
DIVISION = ("batch_size", "rank", "world_size", "parts")
"""How the ranks divide the batches: this may differ from the state if the batches over all ranks have equal size."""


@runtime_checkable
class DividedPlan(EpochPlan, Protocol):
    """A plan that several ranks share, and of which any number of ranks can continue."""

    def divide(self, **changes: int | None) -> "DividedPlan":
        """Return the plan with another `rank`, `world_size` or `parts`; see `store.plans.plan.BatchPlan`."""

    def reorder(self, shuffle: Shuffle) -> "DividedPlan":
        """Return the plan with another order of the same samples."""


def continued_plan(plan: EpochPlan, state: Mapping[str, Any]) -> EpochPlan:
    """Return the plan with which a stream continues from a state, at the state's epoch.

    Parameters
    ----------
    plan
        Plan of the stream.
    state
        What `store.stream.BatchStream.state_dict` returned, without the store.

    Raises
    ------
    StateError
        If the state is of another order, or its position is not in the epoch.
    """
    identity = plan.identity
    ignored = {*POSITION, *(DIVISION if isinstance(plan, DividedPlan) else ())}
    for name in [*identity, *(name for name in state if name not in identity)]:
        if name not in ignored and state.get(name) != identity.get(name):
            hint = "; the order has changed between these versions" if name == "plan_version" else ""
            raise StateError(f"the state has {name}={state.get(name)!r}, this stream {identity.get(name)!r}{hint}")
    if isinstance(plan, DividedPlan):
        plan = _divided_alike(plan, identity, state)
    epoch, batch = state.get("epoch"), state.get("batch")
    if not _is_count(epoch):
        raise StateError(f"the state has epoch={epoch!r}, which is not an integer of at least 0")
    if not _is_count(batch) or batch > len(plan):
        raise StateError(f"the state has batch={batch!r}, which is not an integer from 0 to {len(plan)}")
    return plan.at_epoch(epoch)


def _divided_alike(plan: DividedPlan, identity: Mapping[str, Any], state: Mapping[str, Any]) -> DividedPlan:
    """Return the plan with the state's batches over all ranks, of which each rank of this run takes its share."""
    for name in ("batch_size", "world_size"):
        if not _is_count(state.get(name)) or not state[name]:
            raise StateError(f"the state has {name}={state.get(name)!r}, this stream {identity[name]!r}")
    there, here = (values["batch_size"] * values["world_size"] for values in (state, identity))
    if there != here:
        raise StateError(
            f"the state has batch_size={state['batch_size']} and world_size={state['world_size']}, this stream "
            f"{identity['batch_size']} and {identity['world_size']}; their product, the samples per batch over all "
            f"ranks, must be {there}"
        )
    if identity["shuffle"] in ("full", "none"):
        return plan
    parts = state.get("parts") or state["world_size"]
    if not _is_count(parts) or there % parts:
        raise StateError(f"the state has parts={parts!r}, which does not divide the {there} samples per batch")
    return plan.divide(parts=None if parts == identity["world_size"] else parts)


def _is_count(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
