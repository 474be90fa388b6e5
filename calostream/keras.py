"""The public names that need Keras."""

from train.keras.model import build_model, load_model

__all__ = ["build_model", "load_model"]
