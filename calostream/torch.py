"""The public names that need PyTorch; `import calostream` alone does not import it."""

from calostream.shadowing import require_own

require_own("train", "store")

from store.extras import require  # noqa: E402

require("torch", "torch")

from train.pytorch.loader import Loader  # noqa: E402
from train.pytorch.model import Classifier, load_model  # noqa: E402

__all__ = ["Classifier", "Loader", "load_model"]
