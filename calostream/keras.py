"""What needs Keras; `import calostream` alone does not import it."""

from train.keras.model import build_model, load_model

__all__ = ["build_model", "load_model"]
