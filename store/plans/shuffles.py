"""The names of the ways to shuffle samples, which `store.plans.plan.BatchPlan` describes."""

from typing import Literal, get_args

Shuffle = Literal["full", "window", "chunks", "none"]
SHUFFLES: tuple[Shuffle, ...] = get_args(Shuffle)
AnyShuffle = Literal[Shuffle, "auto"]
AUTO: Literal["auto"] = "auto"
"""The order that is chosen anew for each epoch, see `store.readers.page_cache.choose_shuffle`."""
