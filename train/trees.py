"""Trees whose values add up to a logit, as plain arrays."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from train.baseline import Baseline, Floats


@dataclass(frozen=True, kw_only=True)
class Trees(Baseline):
    """Boosted trees. Nodes of all trees are in one row; a leaf leads to itself.

    Attributes
    ----------
    baseline
        float64 (), the logit before the first tree.
    root
        int32 (tree,), first node of each tree.
    feature
        int32 (node,), column of the feature that a node looks at.
    threshold
        float64 (node,), up to which it leads to the left.
    left, right
        int32 (node,), the nodes it leads to.
    value
        float64 (node,), what a leaf adds.
    """

    file: ClassVar[str] = "trees.npz"
    title: ClassVar[str] = "boosted trees"
    baseline: Floats
    root: npt.NDArray[np.int32]
    feature: npt.NDArray[np.int32]
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
            feature=np.where(leaf, 0, node["feature_idx"]).astype(np.int32),
            threshold=np.where(leaf, 0.0, node["num_threshold"]),
            left=np.where(leaf, itself, first + node["left"]).astype(np.int32),
            right=np.where(leaf, itself, first + node["right"]).astype(np.int32),
            value=node["value"],
        )

    @property
    def parameters(self) -> int:
        """Number of thresholds and of values, one or the other at each node."""
        return len(self.value)

    def logit(self, feature: Floats) -> Floats:
        """Return logits (n,) of features (n, feature)."""
        node = np.broadcast_to(self.root, (len(feature), len(self.root)))
        row = np.arange(len(feature))[:, None]
        while True:
            smaller = feature[row, self.feature[node]] <= self.threshold[node]
            below = np.where(smaller, self.left[node], self.right[node])
            if np.array_equal(below, node):
                return np.asarray(self.baseline + self.value[node].sum(1))
            node = below
