"""Boosted trees on shower shapes: what a network must beat."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from store.errors import ConfigError
from store.predictions import Predictions
from store.reader import open_store
from store.schema import SPLITS
from store.stream import BatchStream
from train.checkpoint import replacing
from train.metrics import measure, sigmoid
from train.progress import say, show
from train.run import RunDirectory
from train.shapes import shape_matrix
from train.trees import Trees

Floats = npt.NDArray[np.float64]
MODEL = "boosted-trees"
BATCH = 1024


@dataclass(frozen=True, kw_only=True)
class TreesConfig:
    """One training run.

    Attributes
    ----------
    run
        The run directory to write.
    store
        The store to train on.
    seed
        Chooses the shapes that each split of a node may use.
    iterations
        Most trees to grow.
    patience
        Trees without a lower validation loss after which training stops.
    learning_rate
        Weight of each tree.
    leaves
        Most leaves a tree.
    shapes_a_split
        Share of the shapes, drawn anew, among which a node looks for the best cut.

    Raises
    ------
    ConfigError
        If the seed is out of its bounds.
    """

    run: Path
    store: Path = Path("data/electron-photon.zarr")
    seed: int = 0
    iterations: int = 1000
    patience: int = 30
    learning_rate: float = 0.05
    leaves: int = 31
    shapes_a_split: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 2**32:
            raise ConfigError(f"seed={self.seed} is not from 0 to 2**32 - 1")

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {**dataclasses.asdict(self), "run": str(self.run), "store": str(self.store), "model": MODEL}


@dataclass(frozen=True, kw_only=True)
class Table:
    """Shower shapes of a split.

    Attributes
    ----------
    shape
        float64 (n, shape), in the order of `train.shapes.shower_shapes`.
    label
        uint8 (n,), classes.
    sample
        int64 (n,), positions in the store.
    """

    shape: Floats
    label: npt.NDArray[np.uint8]
    sample: npt.NDArray[np.int64]

    @classmethod
    def of(cls, store: Path, split: str) -> "Table":
        """Stream a split of a store and keep its shower shapes."""
        stream = BatchStream(store, split=split, batch_size=BATCH, shuffle="none")
        parts = [(shape_matrix(batch.image), batch.label, batch.sample) for batch in stream]
        shape, label, sample = (np.concatenate(column) for column in zip(*parts, strict=True))
        return cls(shape=shape, label=label, sample=sample)


def grow(config: TreesConfig, training: Table, validation: Table) -> tuple[Trees, list[dict[str, float | None]]]:
    """Grow trees until the validation loss no longer falls.

    Returns
    -------
    Trees
        As many as gave the lowest validation loss.
    list
        Loss, accuracy and AUC on both splits after each tree, the epochs of this method.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier

    classifier = HistGradientBoostingClassifier(
        learning_rate=config.learning_rate,
        max_iter=config.iterations,
        max_leaf_nodes=config.leaves,
        max_features=config.shapes_a_split,
        early_stopping=True,
        n_iter_no_change=config.patience,
        random_state=config.seed,
    )
    classifier.fit(training.shape, training.label, X_val=validation.shape, y_val=validation.label)
    tables = {"train": training, "validation": validation}
    logits = (classifier.staged_decision_function(table.shape) for table in tables.values())
    history = []
    for number, stage in enumerate(zip(*logits, strict=True), start=1):
        epoch: dict[str, float | None] = {"epoch": number, "learning_rate": config.learning_rate}
        for (split, table), logit in zip(tables.items(), stage, strict=True):
            metrics = dataclasses.asdict(measure(table.label, logit))
            epoch |= {f"{split}_{name}": value for name, value in metrics.items()}
        history.append(epoch)
    best = min(history, key=lambda epoch: epoch["validation_loss"])  # type: ignore[arg-type, return-value]
    return Trees.of(classifier, int(best["epoch"])), history  # type: ignore[arg-type]


def write(path: Path, *lines: str) -> None:
    """Write a file of lines that appears whole or not at all."""
    with replacing(path) as file:
        file.write("".join(f"{line}\n" for line in lines).encode())


def fit(config: TreesConfig, *, overwrite: bool = False) -> None:
    """Grow trees on the training split until the loss on the validation split no longer falls; leave a run directory.

    Parameters
    ----------
    config
        What to train.
    overwrite
        Replace a run directory that is already there.

    Raises
    ------
    ConfigError
        If the store holds other images than showers of energy and time.
    StoreError
        If there is no store.
    RunError
        If the run directory is taken.
    """
    directory = RunDirectory(path=config.run)
    directory.check(overwrite=overwrite)
    store = open_store(config.store)
    channels = [channel.name for channel in store.description.channels]
    if channels != ["energy", "time"]:
        raise ConfigError(f"shower shapes are of energy and time, {store.path} has {', '.join(channels)}")
    tables = {split: Table.of(config.store, split) for split in SPLITS}
    trees, history = grow(config, tables["train"], tables["validation"])
    directory.create()
    description = {**config.to_json(), "framework": "trees", "parameters": trees.parameters}
    write(directory.path / "config.json", json.dumps(description, indent=2))
    directory.write_environment(store, "cpu")
    write(directory.path / "history.jsonl", *map(json.dumps, history))
    trees.save(directory.path)
    say(f"{MODEL}: {len(trees.root)} trees, {trees.parameters:,} parameters")
    for split, table in tables.items():
        logit = trees.logit(table.shape)
        Predictions(sample=table.sample, label=table.label, score=sigmoid(logit)).save(directory.predictions(split))
        metrics = measure(table.label, logit)
        say(f"{split}: AUC {show(metrics.auc)}, accuracy {metrics.accuracy:.4f}")
    say(f"{directory.path} is complete; `evaluate {directory.path}` reports on it")
