"""The run folder: the contract between the trainers, which write it, and the evaluation, which reads it.

::

    RUN/
      config.json          settings of the training, with `framework`, `model` and `parameters`
      environment.json     command, device, versions, and under `store` the identity of the data
      architecture.json    the model, as `train.model.specification.Specification.to_dict` describes it (networks only)
      history.jsonl        an `EpochRecord` per line
      checkpoints/         last.npz, best.npz
      predictions/         train.npz, validation.npz, test.npz; occlusion.npz once `evaluate occlude` has run
      tensorboard/         the history as TensorBoard events
      model.safetensors | model.keras | trees.npz | logistic.npz, and model.onnx once exported
"""

import importlib.metadata
import json
import math
import platform
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from store import files
from store.datasets import SPLITS, find_dataset
from store.errors import ConfigError, RunError

if TYPE_CHECKING:
    from store.opening import Store

SCORERS = {
    "torch": "train.pytorch.score",
    "keras": "train.keras.score",
    "trees": "train.baselines.score",
    "logistic": "train.baselines.score",
}
"""For each framework that `config.json` may name, the module that scores images; see `store.score_pipe`."""
STORE_KEYS = ("title", "dataset", "simulated", "sources", "split_scheme", "split_ranges", "seed")
"""Root attributes of a store that `environment.json` repeats, beside its path and digest."""
PACKAGES = ("calostream", "numpy", "zarr", "xarray", "scikit-learn", "torch", "keras", "tensorflow", "tensorflow-cpu")


@dataclass(frozen=True, kw_only=True)
class EpochRecord:
    """Figures of one epoch: a line of ``history.jsonl``.

    Attributes
    ----------
    epoch
        Counted from 1.
    train_loss, train_accuracy, train_auc
        Over the outputs that training itself produced, with dropout and while the weights changed. The AUC is None if
        all samples are of one class.
    validation_loss, validation_accuracy, validation_auc
        Over the whole validation split after the epoch.
    learning_rate
        At the end of the epoch.
    seconds
        Duration of training and validation.
    samples_per_second
        Training samples per second of training, validation left out; None where it has no meaning.
    waiting_share
        Fraction of the training time spent waiting for data; None where it has no meaning.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    train_auc: float | None
    validation_loss: float
    validation_accuracy: float
    validation_auc: float | None
    learning_rate: float
    seconds: float | None
    samples_per_second: float | None = None
    waiting_share: float | None = None


@dataclass(frozen=True, kw_only=True)
class RunFolder:
    """A folder with one training run.

    Attributes
    ----------
    path
        The folder.
    """

    path: Path

    @property
    def last_checkpoint(self) -> Path:
        """The newest checkpoint."""
        return self.path / "checkpoints" / "last.npz"

    @property
    def best_checkpoint(self) -> Path:
        """Checkpoint of the epoch with the lowest validation loss."""
        return self.path / "checkpoints" / "best.npz"

    @property
    def history(self) -> Path:
        """The history, an `EpochRecord` per line."""
        return self.path / "history.jsonl"

    @property
    def tensorboard(self) -> Path:
        """Folder of the TensorBoard events."""
        return self.path / "tensorboard"

    @property
    def occlusion(self) -> Path:
        """The occlusion map, see `evaluate.occlusion.Occlusion`."""
        return self.path / "predictions" / "occlusion.npz"

    def predictions(self, split: str) -> Path:
        """Return the file of the best model's predictions for a split, see `store.predictions.Predictions`."""
        return self.path / "predictions" / f"{split}.npz"

    def model(self, suffix: str) -> Path:
        """Return the file of the exported model: ``.safetensors``, ``.keras`` or ``.onnx``."""
        return self.path / f"model{suffix}"

    # Before and while a run is written

    def check_free(self, *, overwrite: bool) -> None:
        """Refuse a folder that a new run must not take.

        Raises
        ------
        RunError
            If it holds something that is not a run, or a run and `overwrite` is not set.
        """
        if not self.path.exists():
            return
        if self.path.is_dir() and not any(
            child.is_file() for child in self.path.rglob("*") if child.name != files.LOCK
        ):
            return
        if self.framework is None:
            raise RunError(f"{self.path}: exists and is not a run directory; choose another --run")
        if not overwrite:
            raise RunError(f"{self.path}: already exists; --resume continues it, --overwrite replaces it")

    def check_space(self, weight_bytes: int, samples: int) -> None:
        """Make sure that the disk has room for three checkpoints, the exported model and the predictions.

        A checkpoint has at most four values per weight: itself, its mean, and two moments of its gradient. What the
        folder holds already is replaced.

        Parameters
        ----------
        weight_bytes
            Size of the model's weights, in bytes.
        samples
            Number of samples of all splits.

        Raises
        ------
        RunError
            If there is no room.
        """
        needed = 13 * weight_bytes + 32 * samples
        existing = next(folder for folder in (self.path, *self.path.absolute().parents) if folder.exists())
        free = shutil.disk_usage(existing).free + files.folder_bytes(self.path)
        if needed > free:
            raise RunError(f"{self.path}: the disk is too small: a run takes {needed:,} bytes, {free:,} are free")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Create the folder if needed, and keep other processes from training in it.

        Raises
        ------
        RunError
            If another process is training in it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            with files.locked(self.path):
                yield
        except BlockingIOError as error:
            if error.filename != str(self.path):
                raise
            raise RunError(f"{self.path}: another process is training there") from None

    def create(self) -> None:
        """Empty the folder, which the caller has locked, and create its subfolders."""
        self.path.mkdir(parents=True, exist_ok=True)
        files.clear_folder(self.path)
        for path in (self.last_checkpoint, self.predictions("test")):
            path.parent.mkdir(parents=True)

    # What the trainers write

    def write_config(self, settings: Mapping[str, Any], *, framework: str, parameters: int) -> None:
        """Write ``config.json``, which makes the folder a run folder.

        Parameters
        ----------
        settings
            Settings of the training as plain values, with the name of the ``model``.
        framework
            A key of `SCORERS`.
        parameters
            Number of trainable parameters.
        """
        self._write_json("config.json", {**settings, "framework": framework, "parameters": parameters})

    def write_specification(self, specification: Mapping[str, Any]) -> None:
        """Write ``architecture.json``."""
        self._write_json("architecture.json", specification)

    def write_environment(self, store: "Store", device: str) -> None:
        """Write ``environment.json``: what ran where, on which data."""
        identity = {"path": str(store.path), "digest": store.digest}
        self._write_json(
            "environment.json",
            {
                "command": shlex.join(sys.argv),
                "device": device,
                "platform": platform.platform(),
                "python": platform.python_version(),
                "packages": installed_versions(PACKAGES),
                "store": {**identity, **{key: store.attributes[key] for key in STORE_KEYS}},
            },
        )

    def write_history(self, records: Sequence[EpochRecord]) -> None:
        """Write ``history.jsonl``."""
        lines = [json.dumps(asdict(record)) + "\n" for record in records]
        files.write_whole(self.history, "".join(lines).encode())

    def _write_json(self, name: str, values: Mapping[str, Any]) -> None:
        files.write_whole(self.path / name, (json.dumps(values, indent=2) + "\n").encode())

    # What the evaluation and a resumed training read

    @property
    def framework(self) -> str | None:
        """Framework that ``config.json`` names; None if there is no run here."""
        try:
            config = json.loads((self.path / "config.json").read_bytes())
        except (OSError, ValueError):
            return None
        framework = config.get("framework") if isinstance(config, dict) else None
        return framework if isinstance(framework, str) else None

    def read_config(self) -> dict[str, Any]:
        """Read ``config.json``; ``framework``, ``model`` (text) and ``parameters`` (int) are there.

        Raises
        ------
        RunError
            If the file is missing or not what a trainer writes; the message names the file.
        """
        config = self._read_json("config.json")
        for key, kind in {"framework": str, "model": str, "parameters": int}.items():
            if not isinstance(config.get(key), kind):
                got = repr(config[key]) if key in config else "nothing"
                raise RunError(f"{self.path / 'config.json'}: {key} must be of type {kind.__name__}, got {got}")
        return config

    def read_environment(self) -> dict[str, Any]:
        """Read ``environment.json``; under ``store`` are ``path``, ``digest`` and `STORE_KEYS`, of checked types.

        Raises
        ------
        RunError
            If the file is missing or not what a trainer writes; the message names the file.
        """
        environment, path = self._read_json("environment.json"), self.path / "environment.json"
        _require(path, "the file", environment, ("store",))
        store = environment["store"]
        _require(path, "store", store, ("path", "digest", *(key for key in STORE_KEYS if key != "sources")))
        _require(path, "store.split_ranges", store["split_ranges"], SPLITS)
        for split, limits in store["split_ranges"].items():
            if not isinstance(limits, list) or [type(limit) for limit in limits] != [int, int]:
                raise RunError(f"{path}: split_ranges.{split} must be two numbers, got {limits!r}")
        for key in ("path", "digest", "title", "simulated", "split_scheme"):
            if not isinstance(store[key], str):
                raise RunError(f"{path}: store.{key} must be text, got {store[key]!r}")
        try:
            find_dataset(store["dataset"])
        except ConfigError as error:
            raise RunError(f"{path}: {error}") from None
        return environment

    def read_specification(self) -> dict[str, Any]:
        """Read ``architecture.json``.

        Raises
        ------
        RunError
            If the file is missing or not a JSON object.
        """
        return self._read_json("architecture.json")

    def read_history(self) -> list[EpochRecord]:
        """Read ``history.jsonl``.

        Raises
        ------
        RunError
            If the file is missing, empty, or has a line that is not an epoch; the message names file and line.
        """
        path = self.history
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            raise RunError(f"{path}: no such file; has the training run begun?") from None
        except (OSError, UnicodeDecodeError) as error:
            raise RunError(f"{path}: cannot be read ({error})") from None
        if not lines:
            raise RunError(f"{path}: holds no epoch")
        return [_parse_epoch(path, number, line) for number, line in enumerate(lines, start=1)]

    def _read_json(self, name: str) -> dict[str, Any]:
        path = self.path / name
        if not self.path.is_dir():
            raise RunError(f"{self.path}: no such run directory")
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise RunError(f"{path}: no such file; is {self.path} a run directory, and has the run ended?") from None
        except (OSError, ValueError, RecursionError) as error:
            raise RunError(f"{path}: not JSON ({error})") from None
        _require(path, "the file", value, ())
        return value  # type: ignore[no-any-return]


def _require(path: Path, what: str, value: object, keys: Sequence[str]) -> None:
    if not isinstance(value, dict):
        raise RunError(f"{path}: {what} must be a JSON object, got {type(value).__name__}")
    missing = [key for key in keys if key not in value]
    if missing:
        raise RunError(f"{path}: {what} lacks {', '.join(missing)}")


def _parse_epoch(path: Path, number: int, line: str) -> EpochRecord:
    try:
        values = json.loads(line)
    except ValueError as error:
        raise RunError(f"{path}: line {number} is not an epoch ({error})") from None
    known = {field.name for field in fields(EpochRecord)}
    _require(path, f"line {number}", values, tuple(known - {"seconds", "samples_per_second", "waiting_share"}))
    values = {"seconds": None, **{name: value for name, value in values.items() if name in known}}
    for name, value in values.items():
        if not (value is None or (isinstance(value, int | float) and math.isfinite(value))):
            raise RunError(f"{path}: line {number} is not an epoch ({name}={value!r} is not a finite number)")
    return EpochRecord(**values)


def installed_versions(packages: Sequence[str]) -> dict[str, str]:
    """Return the versions of those of the distributions that are installed."""
    versions = {}
    for name in packages:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
