"""calostream: calorimeter images from one Zarr store to PyTorch and Keras.

``import calostream as cs`` gives every public name. Each is imported when it is first used. It also gives xarray's
datasets the accessor ``dataset.calo``.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from calostream import keras as keras
    from calostream import torch as torch
    from evaluate.metrics import Estimate, accuracy, brier_score, calibration, log_loss
    from evaluate.ranking import auc, background_rejection, compare_auc, roc
    from ingest.convert import Ingest, ingest
    from ingest.executors import open_executor
    from ingest.split import Split
    from store.accessor import CaloAccessor
    from store.datasets import DatasetSpec, find_dataset
    from store.errors import (
        CalostreamError,
        ConfigError,
        CorruptStoreError,
        PlanError,
        RunError,
        SourceError,
        StateError,
        StoreError,
    )
    from store.opening import Store, open_dataset, open_statistics, open_store
    from store.plans.plan import BatchPlan
    from store.plans.shuffle_quality import ShuffleQuality, shuffle_quality
    from store.plotting import plot_shower, plot_showers
    from store.predictions import Predictions
    from store.sparse import SparseImages
    from store.stream import Batch, BatchStream, SparseBatch
    from train.config import TrainConfig
    from train.model.architecture import Architecture

    __version__: str
else:
    from calostream.accessor import register

    register()
    del register

    def __getattr__(name: str) -> Any:
        if name == "__version__":
            from importlib.metadata import version

            return version("calostream")
        from calostream.shadowing import require_own

        require_own("store")
        from store.lazy import home_of, load

        home = home_of(__name__, name).partition(".")[0]
        if home != __name__:
            require_own(home)
        return load(__name__, name)


__all__ = [
    "Architecture",
    "Batch",
    "BatchPlan",
    "BatchStream",
    "CaloAccessor",
    "CalostreamError",
    "ConfigError",
    "CorruptStoreError",
    "DatasetSpec",
    "Estimate",
    "Ingest",
    "PlanError",
    "Predictions",
    "RunError",
    "ShuffleQuality",
    "SourceError",
    "SparseBatch",
    "SparseImages",
    "Split",
    "StateError",
    "Store",
    "StoreError",
    "TrainConfig",
    "__version__",
    "accuracy",
    "auc",
    "background_rejection",
    "brier_score",
    "calibration",
    "compare_auc",
    "find_dataset",
    "ingest",
    "log_loss",
    "open_dataset",
    "open_executor",
    "open_statistics",
    "open_store",
    "plot_shower",
    "plot_showers",
    "roc",
    "shuffle_quality",
]


def __dir__() -> list[str]:
    return sorted([*__all__, "keras", "torch"])  # not in __all__: `import *` would import both frameworks
