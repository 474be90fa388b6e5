"""Growing boosted trees."""

import time
from dataclasses import dataclass
from typing import ClassVar

from store.errors import ConfigError
from train.baseline import BaselineConfig, Epoch, Table, describe_epoch
from train.trees import Trees


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


def grow(config: TreesConfig, training: Table, validation: Table) -> tuple[Trees, list[Epoch]]:
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
    best = min(history, key=lambda epoch: epoch["validation_loss"])
    return Trees.of(classifier, int(best["epoch"])), history
