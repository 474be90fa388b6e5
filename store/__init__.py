"""calostream: the store: its format, and reading it fast."""

from store.opening import open_dataset, open_statistics, open_store
from store.plan import BatchPlan
from store.predictions import Predictions
from store.stream import Batch, BatchStream

__all__ = ["Batch", "BatchPlan", "BatchStream", "Predictions", "open_dataset", "open_statistics", "open_store"]
