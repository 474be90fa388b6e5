"""Training a baseline: from its settings to a complete run directory."""

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from store.arrays import Float64Array, Int64Array
from store.console import say
from store.epoch_record import EpochRecord
from store.errors import ConfigError
from store.locations import Location
from store.run_folder import RunFolder
from train.baselines.baseline import Baseline
from train.baselines.table import FeatureTable, choose_features, read_features
from train.config import AUTO, STORE, TrainConfig
from train.metrics import compute_metrics
from train.setting_values import NONE
from train.variables import check_variables
from train.weighting import default_weight, read_weights, select_samples, stored_weights

if TYPE_CHECKING:
    from store.opening import Store


@dataclass(frozen=True, kw_only=True)
class BaselineConfig:
    """Settings for training a baseline.

    Attributes
    ----------
    run
        Run directory to write.
    store
        Store to train on.
    variables
        Names of the store's variables to train on; if empty, the baseline is trained on features of the images.
    weight
        Column of the store that weights samples, ``none``, or ``auto`` for the weights of the data set if it has any.
    train_samples
        Number of samples to use, from the beginning of the training split; 0 for all.
    """

    run: Path
    store: Location = STORE
    variables: tuple[str, ...] = ()
    weight: str = AUTO
    train_samples: int = 0
    model: ClassVar[str]
    framework: ClassVar[str]

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as plain values, with ``model`` and ``framework``."""
        names = {"model": self.model, "framework": self.framework}
        return {**dataclasses.asdict(self), "run": str(self.run), "store": str(self.store), **names}


TrainFunction = Callable[[FeatureTable, FeatureTable], tuple[Baseline, list[EpochRecord]]]
"""Trains a classifier on the training split, with the validation split at hand, and returns it with its history."""


def make_record(
    epoch: int,
    tables: tuple[FeatureTable, FeatureTable],
    logits: tuple[Float64Array, ...],
    *,
    seconds: float,
    learning_rate: float = 0.0,
) -> EpochRecord:
    """Return a record of the history, with the metrics of the training and the validation split.

    Parameters
    ----------
    epoch
        Number of the epoch, counted from 1.
    tables
        Training and validation split.
    logits
        Logits (n,) or (n, K) for the training and the validation split.
    seconds
        Duration of the epoch.
    learning_rate
        Learning rate of the epoch; 0 for a method that has none.
    """
    training, validation = (
        compute_metrics(table.label, logit, table.weight) for table, logit in zip(tables, logits, strict=True)
    )
    return EpochRecord(
        epoch=epoch,
        train_loss=training.loss,
        train_accuracy=training.accuracy,
        train_auc=training.auc,
        validation_loss=validation.loss,
        validation_accuracy=validation.accuracy,
        validation_auc=validation.auc,
        learning_rate=learning_rate,
        seconds=seconds,
    )


def check_classes(store: "Store", selected: Int64Array) -> None:
    """Check that there are training samples of every class.

    Parameters
    ----------
    store
        The store.
    selected
        int64 (n,), positions of the training samples.

    Raises
    ------
    ConfigError
        If it has none of a class.
    """
    there = set(store.column("label")[selected].tolist())
    for number, name in enumerate(store.spec.classes):
        if number not in there:
            raise ConfigError(
                f"{store.path}: the {len(selected):,} training samples have no {name}; a baseline needs samples of "
                "every class"
            )


def train_baseline(config: BaselineConfig, train: TrainFunction, *, overwrite: bool = False) -> None:
    """Train a baseline and write a run directory, which is locked while it trains.

    Parameters
    ----------
    config
        Settings of the training.
    train
        Trains the classifier. The time taken to read the features is added to the first record of its history.
    overwrite
        Replace an existing run directory, once the training has ended.

    Raises
    ------
    ConfigError
        If the store does not have the variables to train on, the training samples lack a class, or its weights cannot
        be used.
    StoreError
        If there is no store.
    RunError
        If the run directory exists and must not be replaced, or another process is training in it.
    """
    from store.opening import open_store
    from train.outputs import Outputs
    from train.progress import announce_split

    folder = RunFolder(path=config.run)
    folder.check_free(overwrite=overwrite)
    store = open_store(config.store)
    check_variables(config.variables, store)
    if config.weight == AUTO:
        config = dataclasses.replace(config, weight=default_weight(store))
    samples = TrainConfig(run=config.run, store=config.store, weight=config.weight, train_samples=config.train_samples)
    weights, stored = read_weights(samples, store), stored_weights(samples, store)
    selected = select_samples(samples, store, "train")
    check_classes(store, selected)
    features = choose_features(store.spec, config.variables)
    with folder.locked():
        simulated = f" ({store.attributes['simulated']})" if store.attributes["simulated"] else ""
        weighted = f", weighted by {config.weight}" if config.weight != NONE else ""
        named = ", ".join(config.variables) or features
        say(f"{store.path}{simulated}: {named} of {len(selected):,} training images{weighted}")
        began = time.perf_counter()
        tables = {split: read_features(store, split, config.variables, weights) for split in ("train", "validation")}
        tables["train"] = tables["train"].first(config.train_samples)
        reading = time.perf_counter() - began
        classifier, history = train(tables["train"], tables["validation"])
        classifier = dataclasses.replace(classifier, features=features)
        history[0] = dataclasses.replace(history[0], seconds=(history[0].seconds or 0.0) + reading)
        tables["test"] = read_features(store, "test", config.variables, weights)
        folder.create()
        folder.write_config(config.to_dict(), framework=config.framework, parameters=classifier.parameter_count)
        folder.write_environment(store, "cpu")
        folder.write_history(history)
        classifier.save(folder.path)
        say(f"{config.model}: {classifier.parameter_count:,} parameters")
        for split, table in tables.items():
            outputs = Outputs(sample=table.sample, label=table.label, logit=classifier.logit(table.feature))
            outputs.predictions(stored).save(folder.predictions(split))
            announce_split(split, outputs.metrics(weights))
    say(f"{folder.path} is complete; `evaluate {folder.path}` reports on it")
