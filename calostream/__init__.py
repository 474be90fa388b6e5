"""calostream: calorimeter images from one Zarr store to PyTorch and Keras.

Every public name of the project, imported when it is first used: ``import calostream as cs`` costs nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from calostream import keras, torch
    from evaluate.metrics import Estimate, accuracy, brier_score, calibration, log_loss
    from evaluate.ranking import auc, background_rejection, compare_auc, roc
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
    from store.plan import BatchPlan
    from store.plotting import plot_shower
    from store.predictions import Predictions
    from store.shuffle_quality import ShuffleQuality, shuffle_quality
    from store.stream import Batch, BatchStream

    __version__: str

_HOMES = {
    "evaluate.metrics": ("Estimate", "accuracy", "brier_score", "calibration", "log_loss"),
    "evaluate.ranking": ("auc", "background_rejection", "compare_auc", "roc"),
    "store.errors": (
        "CalostreamError",
        "ConfigError",
        "CorruptStoreError",
        "PlanError",
        "RunError",
        "SourceError",
        "StateError",
        "StoreError",
    ),
    "store.opening": ("Store", "open_dataset", "open_statistics", "open_store"),
    "store.plan": ("BatchPlan",),
    "store.plotting": ("plot_shower",),
    "store.predictions": ("Predictions",),
    "store.shuffle_quality": ("ShuffleQuality", "shuffle_quality"),
    "store.stream": ("Batch", "BatchStream"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "__version__",
    "keras",
    "torch",
    *_HOME_OF,
]


def __getattr__(name: str) -> Any:
    if name in _HOME_OF:
        return getattr(importlib.import_module(_HOME_OF[name]), name)
    if name in ("torch", "keras"):
        return importlib.import_module(f"calostream.{name}")
    if name == "__version__":
        from importlib.metadata import version

        return version("calostream")
    raise AttributeError(f"module 'calostream' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
