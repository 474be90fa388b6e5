"""Reading and checking the run directories that trainers wrote."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import msgspec
import numpy as np

from evaluate import class_metrics
from evaluate.occlusion import Occlusion
from evaluate.ranking import checked_classes
from evaluate.results import StoreIdentity
from evaluate.scored import checked_probability
from store.arrays import Float64Array
from store.datasets import SPLITS, DatasetSpec, stored_dataset
from store.errors import ConfigError, RunError
from store.predictions import Predictions
from store.run_folder import RunFolder

SHOWN_CLASSES = 10  # most names of classes in a message
BASELINES = ("trees", "logistic")
"""Frameworks of `store.run_folder.SCORERS` that train no networks."""
CURVES = tuple(f"{split}_{quantity}" for split in ("train", "validation") for quantity in ("loss", "accuracy", "auc"))


class Classifier(Protocol):
    """What is measured and drawn: a `Run`, or an `evaluate.ensemble.Ensemble` of runs."""

    @property
    def name(self) -> str:
        """Unique in the report."""

    @property
    def store(self) -> StoreIdentity:
        """The store that it was trained on."""

    @property
    def spec(self) -> DatasetSpec:
        """Layout and meaning of the images."""

    @property
    def predictions(self) -> Mapping[str, Predictions]:
        """Predictions by split."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training run.

    Attributes
    ----------
    name
        Unique in the report.
    path
        Run directory, as the user gave it.
    config
        Settings of the training, with its ``framework``, ``model`` and ``parameters``.
    environment
        Command, device and versions.
    architecture
        The network, as ``architecture.json`` describes it; None without that file, which baselines do not have.
    store
        The store that it was trained on.
    spec
        Layout and meaning of the images.
    history
        ``epoch``, the ``seconds`` that each epoch took (NaN if not recorded), the ``learning_rate`` at its end, and
        each of `CURVES`, float64 (epoch,).
    predictions
        Predictions of the best model, by split.
    occlusion
        Occlusion map, if ``evaluate occlude`` has run.
    """

    name: str
    path: Path
    config: Mapping[str, Any]
    environment: Mapping[str, Any]
    architecture: Mapping[str, Any] | None
    store: StoreIdentity
    spec: DatasetSpec
    history: Mapping[str, Float64Array]
    predictions: Mapping[str, Predictions]
    occlusion: Occlusion | None

    @property
    def framework(self) -> str:
        """A key of `store.run_folder.SCORERS`, such as ``"torch"``."""
        return str(self.config["framework"])

    @property
    def model(self) -> str:
        """Name of the architecture."""
        return str(self.config["model"])


def load_runs(paths: Sequence[Path]) -> list[Run]:
    """Read run directories. A run is named after its folder, or by its whole path if two folders have the same name.

    Raises
    ------
    ConfigError
        If no run is given, or one is given twice.
    RunError
        If a file of a run is missing or breaks a rule; the message names the file.
    """
    if not paths:
        raise ConfigError("no run to report on; give at least one run directory")
    check_distinct(paths)
    names = Counter(path.resolve().name for path in paths)
    return [load_run(path, str(path) if names[path.resolve().name] > 1 else path.resolve().name) for path in paths]


def check_distinct(paths: Sequence[Path]) -> None:
    """Raise ConfigError if a run directory is given more than once."""
    repeated = [path for path, count in Counter(path.resolve() for path in paths).items() if count > 1]
    if repeated:
        raise ConfigError(f"{repeated[0]}: the run is given more than once")


def load_run(path: Path, name: str) -> Run:
    """Read one run directory; raises RunError like `load_runs`."""
    folder = RunFolder(path=path)
    config, environment = folder.read_config(), folder.read_environment()
    identity = environment.pop("store")
    store, spec = _parse_store(path, identity), stored_dataset(identity)
    return Run(
        name=name,
        path=path,
        config=config,
        environment=environment,
        architecture=folder.read_specification() if (path / "architecture.json").exists() else None,
        store=store,
        spec=spec,
        history=_load_history(folder),
        predictions={
            split: _load_predictions(folder.predictions(split), split, *store.split_ranges[split], spec.classes)
            for split in SPLITS
        },
        occlusion=Occlusion.load(path),
    )


def _parse_store(run: Path, identity: Mapping[str, Any]) -> StoreIdentity:
    try:
        store = msgspec.convert(identity, StoreIdentity)
        if store.sources is not msgspec.UNSET and any(type(source.get("rows")) is not int for source in store.sources):
            raise ValueError("one of its sources has no number of rows")
    except ValueError as error:  # msgspec.ValidationError is one
        raise RunError(f"{run}: environment.json does not describe the store: {error}") from None
    return store


def _load_history(folder: RunFolder) -> dict[str, Float64Array]:
    """Return the columns that figures show, with NaN where an epoch has no value."""
    records = folder.read_history()
    columns = {
        name: [getattr(record, name) for record in records] for name in ("epoch", "seconds", "learning_rate", *CURVES)
    }
    return {name: np.array(values, dtype=np.float64) for name, values in columns.items()}


def list_classes(classes: Sequence[str]) -> str:
    """Return the number and the first names of classes, for messages."""
    return f"{len(classes)} classes ({join_names(classes)})"


def join_names(classes: Sequence[str]) -> str:
    """Return the first names of classes, for messages."""
    return ", ".join([*classes[:SHOWN_CLASSES], *(["..."] if len(classes) > SHOWN_CLASSES else [])])


def _load_predictions(path: Path, split: str, start: int, stop: int, classes: Sequence[str]) -> Predictions:
    """Return predictions for distinct samples of the split, which the store holds from `start` to `stop`."""
    predictions = Predictions.load(path)
    try:
        if predictions.class_count != len(classes):
            raise RunError(f"scores of {predictions.class_count} classes, but the store has {list_classes(classes)}")
        if len(classes) == 2:
            checked_probability(*predictions.scored)
            checked_classes(*predictions.scored)
        else:
            class_metrics.checked(*predictions.scored)
    except RunError as error:
        raise RunError(f"{path}: {error}") from None
    if np.any(np.diff(predictions.sample) <= 0):
        raise RunError(f"{path}: samples must be distinct and in ascending order")
    first, last = predictions.sample[[0, -1]]
    if first < start or last >= stop:
        raise RunError(
            f"{path}: samples {first} to {last} are not all in split {split!r}, which is {start} to {stop - 1}"
        )
    return predictions
