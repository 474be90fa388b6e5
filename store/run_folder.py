"""The run directory: a contract between the trainers, which write it, and the evaluation, which reads it.

::

    RUN/
      config.json          settings of the training, and its `framework`, `model` and number of trainable `parameters`
      environment.json     command, device, date, commit, host, versions, and under `store` the identity of the data
      architecture.json    the network, see `train.model.specification.Specification.to_dict`; not for baselines
      history.jsonl        one `EpochRecord` per line
      checkpoints/         last.npz, best.npz; not for baselines
      teachers.npz         the teachers' scores of the training images, see `train.teacher_scores`; only with teachers
      predictions/         train.npz, validation.npz, test.npz, and occlusion.npz from `evaluate occlude`
      tensorboard/         the history as TensorBoard events; not for baselines
      model.safetensors | model.keras | trees.npz | logistic.npz, and model.onnx from `export-onnx`
"""

import fnmatch
import importlib.metadata
import json
import platform
import re
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from store import files
from store.epoch_record import EpochRecord
from store.errors import RunError
from store.provenance import describe_process
from store.run_rules import STORE_KEYS, check_config, check_environment, finite, require

if TYPE_CHECKING:
    from store.opening import Store

SCORERS = {
    "torch": "train.pytorch.score",
    "keras": "train.keras.score",
    "trees": "train.baselines.score",
    "logistic": "train.baselines.score",
}
"""For each framework in ``config.json``, the module that is run to score images; see `store.score_pipe`."""
MODEL_FILES = {
    "torch": "model.safetensors",
    "keras": "model.keras",
    "trees": "trees.npz",
    "logistic": "logistic.npz",
}
"""For each framework, the file of the trained model."""
WRITTEN = (
    *("config.json", "environment.json", "architecture.json", "history.jsonl", "teachers.npz"),
    *(
        *MODEL_FILES.values(),
        "model.onnx",
        "checkpoints/*.npz",
        "predictions/*.npz",
        "tensorboard/events.*",
    ),
)
"""Patterns of the files that the programs write into a run directory; ``--overwrite`` deletes no others."""
PACKAGES = ("calostream", "numpy", "zarr", "xarray", "scikit-learn", "torch", "keras", "tensorflow", "tensorflow-cpu")


@dataclass(frozen=True, kw_only=True)
class RunFolder:
    """The directory of one training run.

    Attributes
    ----------
    path
        The directory, which need not exist yet.
    """

    path: Path

    @property
    def last_checkpoint(self) -> Path:
        """Checkpoint from which a training resumes."""
        return self.path / "checkpoints" / "last.npz"

    @property
    def best_checkpoint(self) -> Path:
        """Checkpoint of the epoch with the lowest validation loss."""
        return self.path / "checkpoints" / "best.npz"

    @property
    def history(self) -> Path:
        """File of the history."""
        return self.path / "history.jsonl"

    @property
    def teachers(self) -> Path:
        """File with what the teachers say about the training images."""
        return self.path / "teachers.npz"

    @property
    def tensorboard(self) -> Path:
        """Folder with the TensorBoard events."""
        return self.path / "tensorboard"

    @property
    def occlusion(self) -> Path:
        """File of the occlusion map, see `evaluate.occlusion.Occlusion`."""
        return self.path / "predictions" / "occlusion.npz"

    def predictions(self, split: str) -> Path:
        """Return the file with the predictions of the best model for a split, see `store.predictions.Predictions`."""
        return self.path / "predictions" / f"{split}.npz"

    def model(self, suffix: str) -> Path:
        """Return the file of the exported model: ``.safetensors``, ``.keras`` or ``.onnx``."""
        return self.path / f"model{suffix}"

    # Before a run is written

    def check_free(self, *, overwrite: bool) -> None:
        """Check that a new run may be written to the directory.

        Parameters
        ----------
        overwrite
            Whether an existing run may be replaced.

        Raises
        ------
        RunError
            If the directory contains a run that may not be replaced, or files that do not belong to a run.
        """
        if not self.path.exists():
            return
        if self.path.is_dir() and not any(
            child.is_file() for child in self.path.rglob("*") if child.name != files.LOCK
        ):
            return
        if self.framework is None:
            raise RunError(f"{self.path}: already exists and is not a run directory; choose another --run")
        if overwrite and (foreign := next(self._foreign_files(), None)):
            raise RunError(
                f"{foreign}: was not written by a training run, and --overwrite would delete it; move it, or choose "
                "another --run"
            )
        if not overwrite:
            raise RunError(f"{self.path}: already exists; --resume continues it, --overwrite replaces it")

    def _foreign_files(self) -> Iterator[Path]:
        """Yield the files in the directory that no program of the project writes there."""
        for file in sorted(self.path.rglob("*")):
            name = file.relative_to(self.path).as_posix()
            known = file.name == files.LOCK or files.is_partial(file)
            known = known or any(fnmatch.fnmatchcase(name, pattern) for pattern in WRITTEN)
            if not known and (file.is_symlink() or not file.is_dir()):
                yield file

    def check_space(self, weight_bytes: int, samples: int, scores: int = 1) -> None:
        """Check that the disk has space for three checkpoints, the exported model and the predictions.

        A checkpoint has at most four values per weight: the weight, its exponential moving average, and two moments of
        its gradient. The files that the directory already has count as free space, since the run replaces them.

        Parameters
        ----------
        weight_bytes
            Size of all weights of the model, in bytes.
        samples
            Number of samples in all splits together.
        scores
            Number of scores per sample.

        Raises
        ------
        RunError
            If the space is too small.
        """
        needed = 13 * weight_bytes + (16 + 16 * scores) * samples
        existing = next(folder for folder in (self.path, *self.path.absolute().parents) if folder.exists())
        free = shutil.disk_usage(existing).free + files.folder_bytes(self.path)
        if needed > free:
            raise RunError(f"{self.path}: the disk is too small: the run needs {needed:,} bytes, {free:,} are free")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Create the directory if needed, and keep other processes from training in it during the block.

        Temporary files of checkpoints that a killed training left behind are deleted.

        Raises
        ------
        RunError
            If another process is training in it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            with files.locked(self.path):
                for file in filter(files.is_partial, self.last_checkpoint.parent.glob("*")):
                    file.unlink()
                yield
        except BlockingIOError as error:
            if error.filename != str(self.path):
                raise
            raise RunError(f"{self.path}: another process is training in this directory") from None

    def create(self) -> None:
        """Empty the directory, which the caller has locked, and create its subfolders."""
        self.path.mkdir(parents=True, exist_ok=True)
        files.clear_folder(self.path)
        self.create_subfolders()

    def create_subfolders(self) -> None:
        """Create the subfolders that are missing: archives and many ways of copying leave out empty ones."""
        for path in (self.last_checkpoint, self.predictions("test")):
            path.parent.mkdir(parents=True, exist_ok=True)

    # What the trainers write

    def write_config(self, settings: Mapping[str, Any], *, framework: str, parameters: int) -> None:
        """Write ``config.json``, which makes the directory a run directory.

        Parameters
        ----------
        settings
            Settings of the training as JSON values, including the name of the ``model``.
        framework
            A key of `SCORERS`.
        parameters
            Number of trainable parameters.
        """
        self._write_json("config.json", {**settings, "framework": framework, "parameters": parameters})

    def write_specification(self, specification: Mapping[str, Any]) -> None:
        """Write ``architecture.json``; `specification` consists of JSON values."""
        self._write_json("architecture.json", specification)

    def write_environment(self, store: "Store", device: str, feed: str | None = None) -> None:
        """Write ``environment.json``.

        Parameters
        ----------
        store
            The store with the data of the run.
        device
            Name of the device that the training uses.
        feed
            Where the images of each epoch come from: ``stream`` or ``resident``; None if there are no epochs.
        """
        identity = {"path": str(store.path), "digest": store.digest, "description": store.spec.to_dict()}
        self._write_json(
            "environment.json",
            {
                "command": shlex.join(re.sub(r"(https?://[^?#\s]*)[?#]\S*", r"\1", word) for word in sys.argv),
                "device": device,
                **({} if feed is None else {"feed": feed}),
                **describe_process(),
                "platform": platform.platform(),
                "python": platform.python_version(),
                "packages": installed_versions(PACKAGES),
                "store": {**identity, **{key: store.attributes[key] for key in STORE_KEYS}},
            },
        )

    def write_history(self, records: Sequence[EpochRecord]) -> None:
        """Write ``history.jsonl`` with the records of all epochs so far."""
        files.write_whole(self.history, "".join(f"{record.to_json()}\n" for record in records).encode())

    def _write_json(self, name: str, values: Mapping[str, Any]) -> None:
        files.write_whole(self.path / name, (json.dumps(values, indent=2) + "\n").encode())

    # What the evaluation and a resumed training read

    @property
    def framework(self) -> str | None:
        """The framework in ``config.json``, or None if the directory contains no run."""
        try:
            config = json.loads((self.path / "config.json").read_bytes())
        except (OSError, ValueError, RecursionError):
            return None
        framework = config.get("framework") if isinstance(config, dict) else None
        return framework if isinstance(framework, str) else None

    def read_config(self) -> dict[str, Any]:
        """Read ``config.json``, which contains at least ``framework``, ``model`` (str) and ``parameters`` (int).

        ``variables``, the names of what the model takes besides images, may be missing.

        Raises
        ------
        RunError
            If the file is missing or is not what a trainer writes; the message names the file.
        """
        config, path = self._read_json("config.json"), self.path / "config.json"
        check_config(path, config)
        return config

    def read_environment(self) -> dict[str, Any]:
        """Read ``environment.json``, which contains under ``store`` at least ``path``, ``digest`` and `STORE_KEYS`.

        Raises
        ------
        RunError
            If the file is missing or is not what a trainer writes; the message names the file.
        """
        environment, path = self._read_json("environment.json"), self.path / "environment.json"
        check_environment(path, environment)
        return environment

    def read_specification(self) -> dict[str, Any]:
        """Read ``architecture.json``.

        Raises
        ------
        RunError
            If the file is missing or is not a JSON object; the message names the file.
        """
        return self._read_json("architecture.json")

    def read_history(self, epochs: int | None = None) -> list[EpochRecord]:
        """Read ``history.jsonl``.

        Parameters
        ----------
        epochs
            Read at most this many epochs, the first ones; later lines are not parsed.

        Raises
        ------
        RunError
            If the file is missing or empty, or a line is not an epoch; the message names the file and the line.
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
        return [self._parse_epoch(number, line) for number, line in enumerate(lines[:epochs], start=1)]

    def _parse_epoch(self, number: int, line: str) -> EpochRecord:
        try:
            return EpochRecord.from_json(line)
        except ValueError as error:
            raise RunError(f"{self.history}: line {number} is not an epoch ({error})") from None

    def _read_json(self, name: str) -> dict[str, Any]:
        path = self.path / name
        if not self.path.is_dir():
            raise RunError(f"{self.path}: no such run directory")
        try:
            value = json.loads(path.read_text(encoding="utf-8"), parse_float=finite, parse_constant=finite)
        except FileNotFoundError:
            raise RunError(f"{path}: no such file; is {self.path} a run directory, and has the run ended?") from None
        except (OSError, ValueError, RecursionError) as error:
            raise RunError(f"{path}: not JSON ({error})") from None
        require(path, "the file", value, ())
        return value  # type: ignore[no-any-return]


def installed_versions(packages: Sequence[str]) -> dict[str, str]:
    """Return the versions of the given distributions, without those that are not installed."""
    versions = {}
    for name in packages:
        with suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions
