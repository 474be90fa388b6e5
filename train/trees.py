"""Trees whose values add up to a logit, as plain arrays."""

import dataclasses
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from store.errors import RunError
from train.checkpoint import replacing
from train.metrics import sigmoid
from train.shapes import shape_matrix

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Trees:
    """Boosted trees on shower shapes. Nodes of all trees are in one row; a leaf leads to itself.

    Attributes
    ----------
    baseline
        float64 (), the logit before the first tree.
    root
        int32 (tree,), first node of each tree.
    shape
        int32 (node,), column of the shower shape that a node looks at.
    threshold
        float64 (node,), up to which it leads to the left.
    left, right
        int32 (node,), the nodes it leads to.
    value
        float64 (node,), what a leaf adds.
    """

    baseline: Floats
    root: npt.NDArray[np.int32]
    shape: npt.NDArray[np.int32]
    threshold: Floats
    left: npt.NDArray[np.int32]
    right: npt.NDArray[np.int32]
    value: Floats

    @classmethod
    def of(cls, classifier: Any, count: int) -> "Trees":
        """Return the first trees of a fitted ``sklearn.ensemble.HistGradientBoostingClassifier`` of two classes."""
        # Not part of scikit-learn's interface, which can only pickle; a file must not run code when it is read.
        trees = [predictor.nodes for (predictor,) in classifier._predictors[:count]]
        node, sizes = np.concatenate(trees), [len(tree) for tree in trees]
        root = np.cumsum([0, *sizes[:-1]])
        itself, first = np.arange(len(node)), np.repeat(root, sizes)
        leaf = node["is_leaf"].astype(bool)
        return cls(
            baseline=np.asarray(classifier._baseline_prediction.item()),
            root=root.astype(np.int32),
            shape=np.where(leaf, 0, node["feature_idx"]).astype(np.int32),
            threshold=np.where(leaf, 0.0, node["num_threshold"]),
            left=np.where(leaf, itself, first + node["left"]).astype(np.int32),
            right=np.where(leaf, itself, first + node["right"]).astype(np.int32),
            value=node["value"],
        )

    @property
    def parameters(self) -> int:
        """Number of thresholds and of values, one or the other at each node."""
        return len(self.value)

    def logit(self, shape: Floats) -> Floats:
        """Return logits (n,) of shower shapes (n, shape)."""
        node = np.broadcast_to(self.root, (len(shape), len(self.root)))
        row = np.arange(len(shape))[:, None]
        while True:
            smaller = shape[row, self.shape[node]] <= self.threshold[node]
            below = np.where(smaller, self.left[node], self.right[node])
            if np.array_equal(below, node):
                return np.asarray(self.baseline + self.value[node].sum(1))
            node = below

    def score(self, image: npt.NDArray[np.float32]) -> Floats:
        """Return the probability (batch,) of class 1 for images (batch, ieta, iphi, channel) as in the file."""
        return sigmoid(self.logit(shape_matrix(image)))

    def save(self, folder: Path) -> None:
        """Write ``trees.npz``, from which `load_trees` makes them again."""
        with replacing(folder / "trees.npz") as file:
            np.savez(file, **dataclasses.asdict(self))


def load_trees(folder: str | Path) -> Trees:
    """Return the trees of a run directory.

    ``trees.score(images)`` takes float32 (batch, ieta, iphi, channel) with values as in the source files.

    Raises
    ------
    RunError
        If the folder holds no trees.
    """
    path = Path(folder) / "trees.npz"
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return Trees(**{name: archive[name] for name in archive.files})
    except FileNotFoundError:
        raise RunError(f"{path}: no such file; has the training run ended?") from None
    except (EOFError, OSError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise RunError(f"{path}: not boosted trees ({error})") from None
