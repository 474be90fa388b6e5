"""What needs PyTorch; `import calostream` alone does not import it."""

from train.pytorch.model import Classifier, load_model

__all__ = ["Classifier", "load_model"]
