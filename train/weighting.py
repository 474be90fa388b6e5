"""Weights of samples in the loss and in the metrics, from a column of the store."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from store.arrays import Float32Array, Float64Array, Int64Array
from store.datasets import SPLITS
from store.errors import ConfigError
from train.config import TrainConfig
from train.setting_values import NONE

if TYPE_CHECKING:
    from store.batch import Batch, SampleBatch, SparseBatch
    from store.opening import Store


def select_samples(config: TrainConfig, store: "Store", split: str) -> Int64Array:
    """Return the positions, int64 (n,), of the samples of a split that the configured run uses.

    Raises
    ------
    PlanError
        If the store does not have a column that the cut reads.
    """
    from store.selection import select

    start, stop = store.split_range(split)
    position = np.arange(start, stop) if config.where == NONE else select(store, config.where, start, stop)
    return position[: config.train_samples or None] if split == "train" else position


def default_weight(store: "Store") -> str:
    """Return the name of the column that weights samples by default: ``weight`` if the data set has weights."""
    return NONE if store.spec.weight_key is None else "weight"


def read_weights(config: TrainConfig, store: "Store") -> Float32Array | None:
    """Return the weight of every sample of the store, or None if the samples have none.

    Parameters
    ----------
    config
        Settings of the run, of which ``weight`` names the column.
    store
        The configured store.

    Returns
    -------
    Float32Array or None
        float32 (sample,), divided by the mean weight of the training samples, so that the learning rate means the same
        for weights of any size. Negative weights, as some simulations give, are kept.

    Raises
    ------
    PlanError
        If the store has no such column.
    ConfigError
        If a weight is not a finite number, or the weights of a split do not have a positive sum.
    """
    if config.weight == NONE:
        return None
    from store.sample_columns import check_column

    check_column(store, config.weight, "weight")
    column = store.column(config.weight)
    if column.dtype.kind not in "biuf" or not np.isfinite(column).all():
        raise ConfigError(f"{store.path}: the weights {config.weight!r} are not all finite numbers")
    weight = column.astype(np.float64)
    for split in SPLITS:
        total = weight[select_samples(config, store, split)].sum()
        if not total > 0:
            raise ConfigError(
                f"{store.path}: the weights {config.weight!r} of split {split!r} sum to {total}; --weight none leaves "
                "them out"
            )
    weight /= weight[select_samples(config, store, "train")].mean()
    return weight.astype(np.float32)


def stored_weights(config: TrainConfig, store: "Store") -> Float32Array | None:
    """Return the weight of every sample in the predictions, float32 (sample,) as in the source files.

    These are the weights of the data set, if it has any and the training uses them. Another column, named by
    ``--weight``, weights the training alone.
    """
    return store.column(config.weight) if config.weight == default_weight(store) != NONE else None


def balanced_class_weights(config: TrainConfig, store: "Store", weights: Float32Array | None) -> Float64Array:
    """Return the weight of each class with which all classes count the same in the training split, float64 (class,).

    Parameters
    ----------
    config
        Settings of the run.
    store
        The configured store.
    weights
        What `read_weights` returned.

    Raises
    ------
    ConfigError
        If the training samples of a class do not have a positive sum of weights.
    """
    classes = len(store.spec.classes)
    samples = select_samples(replace(config, train_samples=0), store, "train")
    label = store.column("label")[samples]
    total = np.bincount(label, None if weights is None else weights[samples], classes).astype(np.float64)
    for name, sum_of_class in zip(store.spec.classes, total.tolist(), strict=True):
        if not sum_of_class > 0:
            raise ConfigError(f"class_weights='balanced': the training samples of class {name} weigh {sum_of_class:g}")
    weight: Float64Array = total.sum() / (classes * total)
    return weight


def model_targets(
    batch: "Batch | SampleBatch | SparseBatch", columns: Sequence[Float32Array] = ()
) -> tuple[npt.NDArray[Any], ...]:
    """Return what the loss of a batch depends on besides the logits: the labels, and the columns of `loss_columns`.

    Parameters
    ----------
    batch
        The batch.
    columns
        What `loss_columns` returned.
    """
    return (batch.label, *(column[batch.sample] for column in columns))


def loss_columns(weights: Float32Array | None, targets: Float32Array | None = None) -> tuple[Float32Array, ...]:
    """Return what the loss depends on besides logits and labels: nothing, weights, or weights and targets.

    Parameters
    ----------
    weights
        What `read_weights` returned.
    targets
        What `train.teacher_scores.TeacherScores.targets` returned; None without teachers. With them there are always
        weights, so that the number of columns tells which ones they are.
    """
    if targets is None:
        return () if weights is None else (weights,)
    return np.ones(len(targets), np.float32) if weights is None else weights, targets
