"""Training: one specification of every model, built and trained alike in PyTorch and Keras."""

from train.architecture import ARCHITECTURES, Architecture
from train.config import TrainConfig
from train.normalisation import Normalisation
from train.specification import Specification

__all__ = ["ARCHITECTURES", "Architecture", "Normalisation", "Specification", "TrainConfig"]
