"""Boosted decision trees: growing them with scikit-learn, and scoring with plain arrays."""

import time
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from store.arrays import Float64Array
from store.epoch_record import EpochRecord
from store.errors import ConfigError
from train.baselines.baseline import Baseline, check_array, check_outputs
from train.baselines.table import FeatureTable
from train.baselines.training import BaselineConfig, make_record

BLOCK = 1 << 22  # positions in trees that are followed at once: samples times trees


@dataclass(frozen=True, kw_only=True)
class Trees(Baseline):
    """Boosted trees. The nodes of all trees are stored one after the other; the children of a leaf are the leaf itself.

    Attributes
    ----------
    baseline
        Logit before the first tree: float64 (), or float64 (K,) for K > 2 classes.
    root
        Index of the first node of each tree: int32 (tree,), or int32 (step, K), where each step adds a tree per class.
    feature
        int32 (node,), column of the feature that a node compares with its threshold.
    threshold
        float64 (node,); a feature up to this value leads to the left child, a larger one to the right child.
    left, right
        int32 (node,), index of the left and the right child.
    value
        float64 (node,), what a leaf adds to the logit.
    """

    file_name: ClassVar[str] = "trees.npz"
    description: ClassVar[str] = "boosted trees"
    baseline: Float64Array
    root: npt.NDArray[np.int32]
    feature: npt.NDArray[np.int32]
    threshold: Float64Array
    left: npt.NDArray[np.int32]
    right: npt.NDArray[np.int32]
    value: Float64Array

    @classmethod
    def from_sklearn(cls, classifier: Any, steps: int) -> "Trees":
        """Return the trees of the first steps of a fitted ``sklearn.ensemble.HistGradientBoostingClassifier``."""
        # Reads private attributes: scikit-learn can save classifiers only with pickle, which runs code when it is read.
        trees = [predictor.nodes for step in classifier._predictors[:steps] for predictor in step]
        node, sizes = np.concatenate(trees), [len(tree) for tree in trees]
        root = np.cumsum([0, *sizes[:-1]])
        own_index, first_index = np.arange(len(node)), np.repeat(root, sizes)
        leaf = node["is_leaf"].astype(bool)
        baseline = np.ravel(classifier._baseline_prediction)
        two_classes = len(baseline) == 1
        return cls(
            baseline=np.asarray(baseline[0]) if two_classes else baseline,
            root=(root if two_classes else root.reshape(-1, len(baseline))).astype(np.int32),
            feature=np.where(leaf, 0, node["feature_idx"]).astype(np.int32),
            threshold=np.where(leaf, 0.0, node["num_threshold"]),
            left=np.where(leaf, own_index, first_index + node["left"]).astype(np.int32),
            right=np.where(leaf, own_index, first_index + node["right"]).astype(np.int32),
            value=node["value"],
        )

    def check(self) -> None:
        """Check that every index is that of a node, and that every path through a tree ends at a leaf."""
        nodes = self.value.size
        check_outputs("baseline", self.baseline)
        check_array("root", self.root, "i", (*self.root.shape[:1], *self.baseline.shape))
        for name in ("feature", "left", "right"):
            check_array(name, getattr(self, name), "i", (nodes,))
        check_array("value", self.value, "f", (nodes,))
        if self.threshold.dtype.kind != "f" or self.threshold.shape != (nodes,) or np.isnan(self.threshold).any():
            raise ValueError(f"threshold must be numbers of shape ({nodes},), got shape {self.threshold.shape}")
        for name in ("root", "left", "right"):
            indices = getattr(self, name)
            if ((indices < 0) | (indices >= nodes)).any():
                raise ValueError(f"{name} has an index that is none of the {nodes} nodes")
        if (self.feature < 0).any():
            raise ValueError("feature has a negative index")
        own_index = np.arange(nodes)
        is_leaf = (self.left == own_index) & (self.right == own_index)
        if not (is_leaf | ((self.left > own_index) & (self.right > own_index))).all():
            raise ValueError("left and right must be the node itself, if it is a leaf, or nodes after it")

    def takes(self, features: int) -> bool:
        """Return whether every node compares one of the features."""
        return bool((self.feature < features).all())

    @property
    def parameter_count(self) -> int:
        """Number of nodes: each has one fitted number, a threshold or the value of a leaf."""
        return len(self.value)

    def logit(self, feature: Float64Array) -> Float64Array:
        """Return the logits (n,) or (n, K) of features (n, feature)."""
        rows = max(1, BLOCK // max(1, self.root.size))
        blocks = [self._logit(feature[start : start + rows]) for start in range(0, len(feature), rows)]
        return np.concatenate(blocks) if blocks else np.empty((0, *self.baseline.shape))

    def _logit(self, feature: Float64Array) -> Float64Array:
        node = np.broadcast_to(self.root, (len(feature), *self.root.shape))
        row = np.arange(len(feature)).reshape(-1, *(1 for _ in self.root.shape))
        while True:
            goes_left = feature[row, self.feature[node]] <= self.threshold[node]
            child = np.where(goes_left, self.left[node], self.right[node])
            if np.array_equal(child, node):
                return np.asarray(self.baseline + self.value[node].sum(1))
            node = child


@dataclass(frozen=True, kw_only=True)
class TreesConfig(BaselineConfig):
    """Settings for training boosted trees.

    Attributes
    ----------
    seed
        Seed of the random choice of features at each split.
    max_trees
        Maximum number of trees, or of trees per class with more than two classes.
    patience
        Training stops after this many trees, or trees per class, without a lower validation loss.
    learning_rate
        Factor on the values of each tree.
    max_leaves
        Maximum number of leaves per tree.
    feature_fraction
        Fraction of the features, chosen at random at each split, among which the best cut is searched.

    Raises
    ------
    ConfigError
        If the seed is negative or too large.
    """

    model: ClassVar[str] = "boosted-trees"
    framework: ClassVar[str] = "trees"
    seed: int = 0
    max_trees: int = 1000
    patience: int = 30
    learning_rate: float = 0.05
    max_leaves: int = 31
    feature_fraction: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 2**32:
            raise ConfigError(f"seed={self.seed} is not between 0 and {2**32 - 1}")


def grow_trees(
    config: TreesConfig, training: FeatureTable, validation: FeatureTable
) -> tuple[Trees, list[EpochRecord]]:
    """Grow trees until the validation loss stops falling.

    The trees are those of ``sklearn.ensemble.HistGradientBoostingClassifier``, which follows LightGBM
    (https://papers.nips.cc/paper/6907-lightgbm-a-highly-efficient-gradient-boosting-decision-tree). Negative weights of
    samples count as zero.

    Returns
    -------
    Trees
        The trees up to the lowest validation loss.
    list
        One record per tree, or per step of one tree per class, with the metrics of both splits. Each has an equal part
        of the total duration.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier

    from train.progress import progress_bar, watch_count

    classifier = HistGradientBoostingClassifier(
        learning_rate=config.learning_rate,
        max_iter=config.max_trees,
        max_leaf_nodes=config.max_leaves,
        max_features=config.feature_fraction,
        early_stopping=True,
        n_iter_no_change=config.patience,
        random_state=config.seed,
    )
    began = time.perf_counter()
    grown = partial(getattr, classifier, "_predictors", ())
    with watch_count("growing trees (may end early)", config.max_trees, lambda: len(grown())):
        classifier.fit(
            training.feature,
            training.label,
            training.positive_weight,
            X_val=validation.feature,
            y_val=validation.label,
            sample_weight_val=validation.positive_weight,
        )
    seconds = (time.perf_counter() - began) / classifier.n_iter_
    stages = zip(*(classifier.staged_decision_function(table.feature) for table in (training, validation)), strict=True)
    history, rate = [], config.learning_rate
    with progress_bar("loss and AUC of each step", classifier.n_iter_) as (bar, task):
        for number, logits in enumerate(stages, start=1):
            history.append(make_record(number, (training, validation), logits, seconds=seconds, learning_rate=rate))
            bar.advance(task)
    best = min(history, key=lambda record: record.validation_loss)
    return Trees.from_sklearn(classifier, best.epoch), history
