"""calostream: the format of the store, and fast reading of it."""

from typing import TYPE_CHECKING

from store.lazy import lazy_names

if TYPE_CHECKING:
    from store.opening import open_dataset, open_statistics, open_store
    from store.plans.plan import BatchPlan
    from store.predictions import Predictions
    from store.stream import Batch, BatchStream
else:
    __getattr__ = lazy_names(__name__)

__all__ = ["Batch", "BatchPlan", "BatchStream", "Predictions", "open_dataset", "open_statistics", "open_store"]
