"""The public names that need PyTorch."""

from train.pytorch.model import Classifier, load_model

__all__ = ["Classifier", "load_model"]
