"""Baselines: classifiers on a few features of each sample, to which networks are compared."""

import dataclasses
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from store import files
from store.arrays import Float32Array, Float64Array
from store.console import say
from store.descriptions import LARGEST_CLASSES
from store.epoch_record import EpochRecord
from store.errors import ConfigError, RunError
from store.npz import read_npz
from store.run_folder import RunFolder
from train.baselines.shower_shapes import SMALLEST
from train.baselines.table import (
    IMAGE_FEATURES,
    IMAGE_MOMENTS,
    SHOWER_SHAPES,
    VARIABLES,
    FeatureTable,
    choose_features,
    read_features,
)
from train.config import AUTO, STORE, TrainConfig
from train.metrics import compute_metrics, probability
from train.variables import check_variables
from train.weighting import default_weight, read_weights, stored_weights

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
    """

    run: Path
    store: Path = STORE
    variables: tuple[str, ...] = ()
    weight: str = AUTO
    model: ClassVar[str]
    framework: ClassVar[str]

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as plain values, with ``model`` and ``framework``."""
        names = {"model": self.model, "framework": self.framework}
        return {**dataclasses.asdict(self), "run": str(self.run), "store": str(self.store), **names}


@dataclass(frozen=True, kw_only=True)
class Baseline(ABC):
    """A trained classifier that consists of plain arrays, so that no code is executed when its file is read.

    Attributes
    ----------
    features
        Kind of features that it takes: `SHOWER_SHAPES` or `IMAGE_MOMENTS`, which are computed from images, or
        `VARIABLES`. Files of earlier versions do not name it; their classifiers take shower shapes or variables.
    """

    file_name: ClassVar[str]
    description: ClassVar[str]
    features: str = SHOWER_SHAPES

    def __post_init__(self) -> None:
        if self.features not in (VARIABLES, *IMAGE_FEATURES):
            raise ValueError(f"features must be one of {VARIABLES}, {', '.join(IMAGE_FEATURES)}")
        self.check()

    @abstractmethod
    def check(self) -> None:
        """Raise ValueError if the arrays do not fit each other; the message names the array."""

    @abstractmethod
    def takes(self, features: int) -> bool:
        """Return whether the classifier takes samples of that many features."""

    @property
    @abstractmethod
    def parameter_count(self) -> int:
        """Number of values that were fitted to the training split."""

    @abstractmethod
    def logit(self, feature: Float64Array) -> Float64Array:
        """Return the logits for features (n, feature) in the layout of `FeatureTable`.

        They are float64 (n,), the logits of class 1, or float64 (n, K), the logits of each of K > 2 classes.
        """

    def score(self, image: Float32Array, variables: Float32Array | None = None) -> Float64Array:
        """Return the probability (batch,) of class 1, or the probabilities (batch, K) of K > 2 classes.

        Parameters
        ----------
        image
            float32 (batch, ieta, iphi, channel), with values as in the source files. If there are no variables,
            features are computed from these images.
        variables
            float32 (batch, variable), for a classifier that was trained on variables.

        Raises
        ------
        RunError
            If the classifier was trained on another kind or number of features.
        """
        feature = self._image_features(image) if variables is None else variables.astype(np.float64)
        if not self.takes(feature.shape[1]) or (variables is not None and self.features == IMAGE_MOMENTS):
            raise RunError(f"{self.file_name}: was not trained on samples of {feature.shape[1]} features")
        return probability(self.logit(feature))

    def _image_features(self, image: Float32Array) -> Float64Array:
        if self.features == VARIABLES:
            raise RunError(f"{self.file_name}: was trained on variables, which are missing")
        ieta, iphi, channels = image.shape[1:]
        if self.features == SHOWER_SHAPES and not (ieta >= SMALLEST[0] and iphi >= SMALLEST[1] and channels == 2):
            raise RunError(
                f"{self.file_name}: needs images of energy and time with at least {SMALLEST[0]} x {SMALLEST[1]} cells, "
                f"got {ieta} x {iphi} with {channels} channels"
            )
        return IMAGE_FEATURES[self.features](image)

    def save(self, folder: Path) -> None:
        """Write the classifier to its file in a run directory."""
        with files.replacing(folder / self.file_name) as partial:
            np.savez(partial, **dataclasses.asdict(self))

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read the classifier of a run directory.

        Raises
        ------
        RunError
            If its file is missing, or is not the file of such a classifier.
        """
        path = Path(folder) / cls.file_name
        names = [field.name for field in dataclasses.fields(cls) if field.name != "features"]
        try:
            arrays = read_npz(path, names, optional=("features",))
            features = str(arrays.pop("features", SHOWER_SHAPES))
            return cls(**arrays, features=features)
        except FileNotFoundError:
            raise RunError(f"{path}: no such file; has the training run ended?") from None
        except ValueError as error:
            raise RunError(f"{path}: not {cls.description} ({error})") from None


def check_array(name: str, values: npt.NDArray[Any], kind: str, shape: tuple[int, ...]) -> None:
    """Raise ValueError if an array is not of a kind (``i`` or ``f``) and shape, or has a value that is not finite."""
    kinds = {"i": "iu", "f": "f"}[kind]
    if values.dtype.kind not in kinds or values.shape != shape or not np.isfinite(values).all():
        expected = "whole numbers" if kind == "i" else "finite numbers"
        raise ValueError(f"{name} must be {expected} of shape {shape}, got {values.dtype} of shape {values.shape}")


def check_outputs(name: str, values: npt.NDArray[Any]) -> None:
    """Raise ValueError if an array is neither one finite number, for two classes, nor one for each of more classes."""
    check_array(name, values, "f", values.shape[:1])
    if values.ndim and not 2 < len(values) <= LARGEST_CLASSES:
        raise ValueError(f"{name} must be one number, or one for each of 3 to {LARGEST_CLASSES} classes")


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


def check_classes(store: "Store") -> None:
    """Check that the training split has samples of every class.

    Raises
    ------
    ConfigError
        If it has none of a class.
    """
    start, stop = store.split_range("train")
    there = set(store.column("label")[start:stop].tolist())
    for number, name in enumerate(store.spec.classes):
        if number not in there:
            raise ConfigError(f"{store.path}: split 'train' has no {name}; a baseline needs samples of every class")


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
        If the store does not have the variables to train on, its training split lacks a class, or its weights cannot be
        used.
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
    weighting = TrainConfig(run=config.run, store=config.store, weight=config.weight)
    weights, stored = read_weights(weighting, store), stored_weights(weighting, store)
    check_classes(store)
    features = choose_features(store.spec, config.variables)
    with folder.locked():
        began = time.perf_counter()
        tables = {split: read_features(store, split, config.variables, weights) for split in ("train", "validation")}
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
