"""Classifiers without a network, on a few numbers of each sample: what a network must beat."""

import dataclasses
import time
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from store import files
from store.console import say
from store.errors import ConfigError, RunError
from store.opening import Store, open_store
from store.predictions import Predictions
from store.run_folder import EpochRecord, RunFolder
from store.stream import BatchStream
from train.baselines.shower_shapes import shape_matrix
from train.config import STORE
from train.metrics import compute_metrics, sigmoid
from train.progress import format_auc
from train.variables import read_table

Floats = npt.NDArray[np.float64]
BATCH = 1024


@dataclass(frozen=True, kw_only=True)
class BaselineConfig:
    """One training run.

    Attributes
    ----------
    run
        The run directory to write.
    store
        The store to train on.
    variables
        Of the store, on which to train; none for shower shapes.
    """

    run: Path
    store: Path = STORE
    variables: tuple[str, ...] = ()
    model: ClassVar[str]
    framework: ClassVar[str]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        names = {"model": self.model, "framework": self.framework}
        return {**dataclasses.asdict(self), "run": str(self.run), "store": str(self.store), **names}


@dataclass(frozen=True, kw_only=True)
class Baseline(ABC):
    """A trained classifier, whose attributes are plain arrays: its file runs no code when it is read."""

    file: ClassVar[str]
    title: ClassVar[str]

    @property
    @abstractmethod
    def parameters(self) -> int:
        """Number of values that training chose."""

    @abstractmethod
    def logit(self, feature: Floats) -> Floats:
        """Return logits (n,) of features (n, feature): shower shapes, or variables as they are in the store."""

    def score(self, image: npt.NDArray[np.float32], variables: npt.NDArray[np.float32] | None = None) -> Floats:
        """Return the probability (batch,) of class 1 for what is in a file.

        Parameters
        ----------
        image
            float32 (batch, ieta, iphi, channel); its shower shapes count if there are no variables.
        variables
            float32 (batch, variable), for one that was trained on variables.
        """
        return sigmoid(self.logit(shape_matrix(image) if variables is None else variables.astype(np.float64)))

    def save(self, folder: Path) -> None:
        """Write the file from which `load` makes it again."""
        with files.replacing(folder / self.file) as partial:
            np.savez(partial, **dataclasses.asdict(self))

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Return the classifier of a run directory.

        Raises
        ------
        RunError
            If the folder holds none.
        """
        path = Path(folder) / cls.file
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                return cls(**{name: archive[name] for name in archive.files})
        except FileNotFoundError:
            raise RunError(f"{path}: no such file; has the training run ended?") from None
        except (EOFError, OSError, TypeError, ValueError, zipfile.BadZipFile) as error:
            raise RunError(f"{path}: not {cls.title} ({error})") from None


@dataclass(frozen=True, kw_only=True)
class Table:
    """Features of a split.

    Attributes
    ----------
    feature
        float64 (n, feature): shower shapes in the order of `train.baselines.shower_shapes.shower_shapes`, or variables.
    label
        uint8 (n,), classes.
    sample
        int64 (n,), positions in the store.
    """

    feature: Floats
    label: npt.NDArray[np.uint8]
    sample: npt.NDArray[np.int64]

    @classmethod
    def of(cls, store: Store, split: str, variables: tuple[str, ...] = ()) -> "Table":
        """Read variables of a split, or stream its images and keep their shower shapes.

        Raises
        ------
        ConfigError
            If the store has no such variable, or shapes are wanted of other images than showers of energy and time.
        """
        if variables:
            start, stop = store.split_range(split)
            return cls(
                feature=read_table(variables, store.path)[start:stop].astype(np.float64),
                label=np.asarray(store.group["label"][start:stop]),  # type: ignore[index]
                sample=np.arange(start, stop),
            )
        channels = [channel.name for channel in store.spec.channels]
        if channels != ["energy", "time"]:
            known = ",".join(variable.name for variable in store.spec.variables)
            hint = f"; --variables {known} needs no images" if known else ""
            raise ConfigError(f"shower shapes are of energy and time, {store.path} has {', '.join(channels)}{hint}")
        stream = BatchStream(store.path, split=split, batch_size=BATCH, shuffle="none")
        parts = [(shape_matrix(batch.image), batch.label, batch.sample) for batch in stream]
        feature, label, sample = (np.concatenate(column) for column in zip(*parts, strict=True))
        return cls(feature=feature, label=label, sample=sample)


def describe_epoch(
    number: int, tables: tuple[Table, Table], logits: tuple[Floats, ...], seconds: float, rate: float = 0.0
) -> EpochRecord:
    """Return a line of the history: loss, accuracy and AUC on the training and the validation split."""
    training, validation = (compute_metrics(table.label, logit) for table, logit in zip(tables, logits, strict=True))
    return EpochRecord(
        epoch=number,
        train_loss=training.loss,
        train_accuracy=training.accuracy,
        train_auc=training.auc,
        validation_loss=validation.loss,
        validation_accuracy=validation.accuracy,
        validation_auc=validation.auc,
        learning_rate=rate,
        seconds=seconds,
    )


def fit(
    config: BaselineConfig,
    train: Callable[[Table, Table], tuple[Baseline, list[EpochRecord]]],
    *,
    overwrite: bool = False,
) -> None:
    """Train a classifier and leave a run directory.

    Parameters
    ----------
    config
        What to train.
    train
        Makes a classifier, and the history of its making, of the training and the validation split. The seconds that
        reading these took are added to the first line.
    overwrite
        Replace a run directory that is already there.

    Raises
    ------
    ConfigError
        If the store has other images or variables than are wanted.
    StoreError
        If there is no store.
    RunError
        If the run directory is taken.
    """
    directory = RunFolder(path=config.run)
    directory.check_free(overwrite=overwrite)
    store = open_store(config.store)
    began = time.perf_counter()
    tables = {split: Table.of(store, split, config.variables) for split in ("train", "validation")}
    reading = time.perf_counter() - began
    classifier, history = train(tables["train"], tables["validation"])
    history[0] = dataclasses.replace(history[0], seconds=(history[0].seconds or 0.0) + reading)
    tables["test"] = Table.of(store, "test", config.variables)
    directory.create()
    directory.write_config(config.to_dict(), framework=config.framework, parameters=classifier.parameters)
    directory.write_environment(store, "cpu")
    directory.write_history(history)
    classifier.save(directory.path)
    say(f"{config.model}: {classifier.parameters:,} parameters")
    for split, table in tables.items():
        logit = classifier.logit(table.feature)
        Predictions(sample=table.sample, label=table.label, score=sigmoid(logit)).save(directory.predictions(split))
        metrics = compute_metrics(table.label, logit)
        say(f"{split}: AUC {format_auc(metrics.auc)}, accuracy {metrics.accuracy:.4f}")
    say(f"{directory.path} is complete; `evaluate {directory.path}` reports on it")
