"""calostream: training one specification of every model alike in PyTorch and Keras."""

from train.config import TrainConfig
from train.model.architecture import ARCHITECTURES, Architecture
from train.model.normalisation import Normalisation
from train.model.specification import Specification

__all__ = ["ARCHITECTURES", "Architecture", "Normalisation", "Specification", "TrainConfig"]
