"""The public names that need Keras; `import calostream` alone does not import it."""

from calostream.shadowing import require_own

require_own("train", "store")

from store.extras import require  # noqa: E402

require("keras", "keras")

from train.keras.dataset import Dataset  # noqa: E402
from train.keras.model import build_model, load_model  # noqa: E402

__all__ = ["Dataset", "build_model", "load_model"]
