"""Reading run directories: what a trainer left behind, checked before it is believed."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from evaluate.metrics import Floats, checked_probability
from evaluate.occlusion import Occlusion
from evaluate.ranking import checked_classes
from store.datasets import SPLITS, DatasetSpec, find_dataset
from store.errors import ConfigError, RunError
from store.predictions import Predictions
from store.run_folder import RunFolder

CURVES = tuple(f"{split}_{quantity}" for split in ("train", "validation") for quantity in ("loss", "accuracy", "auc"))


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training run.

    Attributes
    ----------
    name
        Unlike that of any other run in the report.
    path
        As the user gave it.
    config
        Settings of the training, with its ``framework``, ``model`` and ``parameters``.
    environment
        Where it ran, and under ``store`` which data it saw.
    history
        ``epoch``, the ``seconds`` that each took (NaN if not recorded), and each of `CURVES`, float64 (epoch,).
    predictions
        Of the best model, by split.
    occlusion
        Where it looks, if that was asked.
    """

    name: str
    path: Path
    config: Mapping[str, Any]
    environment: Mapping[str, Any]
    history: Mapping[str, Floats]
    predictions: Mapping[str, Predictions]
    occlusion: Occlusion | None

    @property
    def framework(self) -> str:
        """``"torch"`` or ``"keras"``."""
        return str(self.config["framework"])

    @property
    def model(self) -> str:
        """Name of the architecture."""
        return str(self.config["model"])

    @property
    def store(self) -> Mapping[str, Any]:
        """Identity of the store that the run saw: ``path``, ``digest``, ``dataset``, ``split_ranges`` and more."""
        return self.environment["store"]  # type: ignore[no-any-return]

    @property
    def spec(self) -> DatasetSpec:
        """Layout and meaning of its images."""
        return find_dataset(self.store["dataset"])


def load_runs(paths: Sequence[Path]) -> list[Run]:
    """Read run directories, and name each by its last folder, or by its whole path if two share that.

    Raises
    ------
    ConfigError
        If there is none, or one is given twice.
    RunError
        If a directory lacks something, or holds something that cannot be used; the message names the file.
    """
    if not paths:
        raise ConfigError("no run to report on; give at least one run directory")
    twice = [path for path, count in Counter(path.resolve() for path in paths).items() if count > 1]
    if twice:
        raise ConfigError(f"{twice[0]}: the run is given more than once")
    names = Counter(path.resolve().name for path in paths)
    return [load_run(path, str(path) if names[path.resolve().name] > 1 else path.resolve().name) for path in paths]


def load_run(path: Path, name: str) -> Run:
    """Read one run directory; raises RunError as `load_runs`."""
    folder = RunFolder(path=path)
    config, environment = folder.read_config(), folder.read_environment()
    ranges = environment["store"]["split_ranges"]
    return Run(
        name=name,
        path=path,
        config=config,
        environment=environment,
        history=_load_history(folder),
        predictions={split: _load_predictions(folder.predictions(split), ranges, split) for split in SPLITS},
        occlusion=Occlusion.load(path),
    )


def _load_history(folder: RunFolder) -> dict[str, Floats]:
    """Return the columns to draw, NaN where an epoch has none."""
    records = folder.read_history()
    columns = {name: [getattr(record, name) for record in records] for name in ("epoch", "seconds", *CURVES)}
    return {name: np.array(values, dtype=np.float64) for name, values in columns.items()}


def _load_predictions(path: Path, split_ranges: Mapping[str, Sequence[int]], split: str) -> Predictions:
    """Return predictions of distinct samples, all of that split of the store."""
    predictions = Predictions.load(path)
    try:
        checked_probability(*predictions.scored)
        checked_classes(*predictions.scored)
    except RunError as error:
        raise RunError(f"{path}: {error}") from None
    if np.any(np.diff(predictions.sample) <= 0):
        raise RunError(f"{path}: samples must be distinct and in rising order")
    start, stop = split_ranges[split]
    first, last = predictions.sample[[0, -1]]
    if first < start or last >= stop:
        raise RunError(
            f"{path}: samples {first} to {last} are not all in split {split!r}, which is {start} to {stop - 1}"
        )
    return predictions
