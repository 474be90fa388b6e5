"""Boosted trees: growing them, and scoring with them as plain arrays whose values add up to a logit."""

import time
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from store.errors import ConfigError
from store.run_folder import EpochRecord
from train.baselines.baseline import Baseline, BaselineConfig, Floats, Table, describe_epoch


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


@dataclass(frozen=True, kw_only=True)
class TreesConfig(BaselineConfig):
    """One training run of boosted trees.

    Attributes
    ----------
    seed
        Chooses the features that each split of a node may use.
    iterations
        Most trees to grow.
    patience
        Trees without a lower validation loss after which training stops.
    learning_rate
        Weight of each tree.
    leaves
        Most leaves a tree.
    features_a_split
        Share of the features, drawn anew, among which a node looks for the best cut.

    Raises
    ------
    ConfigError
        If the seed is out of its bounds.
    """

    model: ClassVar[str] = "boosted-trees"
    framework: ClassVar[str] = "trees"
    seed: int = 0
    iterations: int = 1000
    patience: int = 30
    learning_rate: float = 0.05
    leaves: int = 31
    features_a_split: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 2**32:
            raise ConfigError(f"seed={self.seed} is not from 0 to 2**32 - 1")


def grow(config: TreesConfig, training: Table, validation: Table) -> tuple[Trees, list[EpochRecord]]:
    """Grow trees until the validation loss no longer falls.

    Returns
    -------
    Trees
        As many as gave the lowest validation loss.
    list
        Loss, accuracy and AUC on both splits after each tree, the epochs of this method, with its share of the seconds.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier

    classifier = HistGradientBoostingClassifier(
        learning_rate=config.learning_rate,
        max_iter=config.iterations,
        max_leaf_nodes=config.leaves,
        max_features=config.features_a_split,
        early_stopping=True,
        n_iter_no_change=config.patience,
        random_state=config.seed,
    )
    began = time.perf_counter()
    classifier.fit(training.feature, training.label, X_val=validation.feature, y_val=validation.label)
    seconds = (time.perf_counter() - began) / classifier.n_iter_
    stages = zip(*(classifier.staged_decision_function(table.feature) for table in (training, validation)), strict=True)
    history = [
        describe_epoch(number, (training, validation), logits, seconds, config.learning_rate)
        for number, logits in enumerate(stages, start=1)
    ]
    best = min(history, key=lambda epoch: epoch.validation_loss)
    return Trees.of(classifier, best.epoch), history
