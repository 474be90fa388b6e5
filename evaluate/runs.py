"""Reading run directories: what a trainer left behind, checked before it is believed."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from evaluate.metrics import Floats, checked_probability
from evaluate.occlusion import Occlusion
from evaluate.ranking import checked_classes
from store.errors import ConfigError, RunError
from store.predictions import Predictions
from store.schema import SPLITS, Description, describe

CURVES = tuple(f"{split}_{quantity}" for split in ("train", "validation") for quantity in ("loss", "accuracy", "auc"))

STORE_KEYS = ("path", "digest", "title", "dataset", "simulated", "split_scheme", "split_ranges", "seed")


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
    def description(self) -> Description:
        """Layout and meaning of its images."""
        return describe(self.store["dataset"])


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
    config, environment = load_settings(path)
    ranges = environment["store"]["split_ranges"]
    return Run(
        name=name,
        path=path,
        config=config,
        environment=environment,
        history=_load_history(path / "history.jsonl"),
        predictions={
            split: _load_predictions(path / "predictions" / f"{split}.npz", ranges, split) for split in SPLITS
        },
        occlusion=Occlusion.load(path),
    )


def load_settings(path: Path) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Read the configuration and the environment of a run directory; raises RunError as `load_runs`."""
    if not path.is_dir():
        raise RunError(f"{path}: no such run directory")
    config = _load_object(path / "config.json", ("framework", "model", "parameters"))
    for key, kind in {"framework": str, "model": str, "parameters": int}.items():
        if not isinstance(config[key], kind):
            raise RunError(f"{path / 'config.json'}: {key} must be of type {kind.__name__}, got {config[key]!r}")
    environment = _load_object(path / "environment.json", ("store",))
    store = environment["store"]
    _require(path / "environment.json", "store", store, STORE_KEYS)
    _require(path / "environment.json", "store.split_ranges", store["split_ranges"], SPLITS)
    for split, limits in store["split_ranges"].items():
        if not isinstance(limits, list) or [type(limit) for limit in limits] != [int, int]:
            raise RunError(f"{path / 'environment.json'}: split_ranges.{split} must be two numbers, got {limits!r}")
    for key in ("path", "digest", "title", "simulated", "split_scheme"):
        if not isinstance(store[key], str):
            raise RunError(f"{path / 'environment.json'}: store.{key} must be text, got {store[key]!r}")
    try:
        describe(store["dataset"])
    except ConfigError as error:
        raise RunError(f"{path / 'environment.json'}: {error}") from None
    return config, environment


def _load_object(path: Path, keys: Sequence[str]) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunError(f"{path}: no such file; is {path.parent} a run directory?") from None
    except ValueError as error:
        raise RunError(f"{path}: not JSON ({error})") from None
    _require(path, "the file", value, keys)
    return value  # type: ignore[no-any-return]


def _require(path: Path, what: str, value: object, keys: Sequence[str]) -> None:
    if not isinstance(value, dict):
        raise RunError(f"{path}: {what} must be a JSON object, got {type(value).__name__}")
    missing = [key for key in keys if key not in value]
    if missing:
        raise RunError(f"{path}: {what} lacks {', '.join(missing)}")


def _load_history(path: Path) -> dict[str, Floats]:
    """Return the columns to draw; an epoch whose AUC could not be computed holds null there."""
    columns: dict[str, list[float]] = {name: [] for name in ("epoch", "seconds", *CURVES)}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise RunError(f"{path}: no such file; has the training run begun?") from None
    for number, line in enumerate(lines, start=1):
        try:
            epoch = {"seconds": None, **json.loads(line)}
            _require(path, f"line {number}", epoch, tuple(columns))
            for name, values in columns.items():
                values.append(np.nan if epoch[name] is None else float(epoch[name]))
        except RunError:
            raise
        except (TypeError, ValueError) as error:
            raise RunError(f"{path}: line {number} is not an epoch ({error})") from None
    if not lines:
        raise RunError(f"{path}: holds no epoch")
    return {name: np.array(values) for name, values in columns.items()}


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
