"""calostream: training models of one specification in PyTorch and in Keras."""

from typing import TYPE_CHECKING

from store.lazy import lazy_names

if TYPE_CHECKING:
    from train.config import TrainConfig
    from train.model.architecture import Architecture
    from train.model.networks import ARCHITECTURES
    from train.model.normalisation import Normalisation
    from train.model.specification import Specification
else:
    __getattr__ = lazy_names(__name__)

__all__ = ["ARCHITECTURES", "Architecture", "Normalisation", "Specification", "TrainConfig"]
