"""The run directory: what a training run leaves behind, and how it is found again."""

import fcntl
import importlib.metadata
import json
import os
import platform
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from store.cache import stored_bytes
from store.errors import RunError
from store.reader import Store
from train.checkpoint import replacing
from train.config import AUTO, TrainConfig
from train.specification import Specification

FREE_ON_RESUME = {"epochs", "patience", "device", "memory", "threads", "save_every"}
PACKAGES = ("calostream", "numpy", "zarr", "xarray", "scikit-learn", "torch", "keras", "tensorflow", "tensorflow-cpu")


@dataclass(frozen=True, kw_only=True)
class RunDirectory:
    """A folder with one training run.

    Attributes
    ----------
    path
        The folder.
    """

    path: Path

    @property
    def last(self) -> Path:
        """The newest checkpoint."""
        return self.path / "checkpoints" / "last.npz"

    @property
    def best(self) -> Path:
        """Checkpoint of the epoch with the lowest validation loss."""
        return self.path / "checkpoints" / "best.npz"

    def predictions(self, split: str) -> Path:
        """Return the file of the best model's predictions for a split."""
        return self.path / "predictions" / f"{split}.npz"

    def check(self, *, overwrite: bool) -> None:
        """Refuse a folder that a new run must not take.

        Raises
        ------
        RunError
            If there is something that is not a run, or a run and `overwrite` is not set.
        """
        if not self.path.exists() or (self.path.is_dir() and not any(path.is_file() for path in self.path.rglob("*"))):
            return
        if "framework" not in self._recorded():
            raise RunError(f"{self.path}: exists and is not a run directory; choose another --run")
        if not overwrite:
            raise RunError(f"{self.path}: already exists; --resume goes on with it, --overwrite replaces it")

    def check_space(self, weights: int, samples: int) -> None:
        """Make sure that the disk has room for three checkpoints, the exported model, and predictions.

        A checkpoint has at most four values a weight: itself, its mean, and two moments of its gradient. What is in the
        folder already is replaced.

        Parameters
        ----------
        weights
            Bytes of the model's weights.
        samples
            Of all splits.

        Raises
        ------
        RunError
            If there is no room.
        """
        needed = 13 * weights + 32 * samples
        place = next(folder for folder in (self.path, *self.path.absolute().parents) if folder.exists())
        free = shutil.disk_usage(place).free + stored_bytes(self.path)
        if needed > free:
            raise RunError(f"{self.path}: the disk is too small: a run takes {needed:,} bytes, {free:,} are free")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Make the folder if it is not there, and keep other processes from training in it.

        Raises
        ------
        RunError
            If one is.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise RunError(f"{self.path}: another process is training there") from None
        except OSError:
            pass  # some network file systems have no locks
        try:
            yield
        finally:
            os.close(handle)

    def create(self) -> None:
        """Make an empty run directory of whatever `check` let pass; the folder itself stays, and who locked it."""
        for path in self.path.iterdir() if self.path.exists() else ():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        for path in (self.last, self.predictions("test")):
            path.parent.mkdir(parents=True)

    def resumed(self, framework: str, changes: Mapping[str, Any]) -> TrainConfig:
        """Return the configuration to go on with: the recorded one with the changes that do not touch the result.

        Raises
        ------
        RunError
            If there is no run here, it is one of the other framework, or a change would make it another run.
        """
        recorded = self._recorded()
        if "framework" not in recorded:
            raise RunError(f"{self.path}: no run to resume here; leave out --resume to start one")
        if recorded["framework"] != framework:
            other = recorded["framework"]
            raise RunError(f"{self.path}: is a run of {other}; train-{other} --resume goes on with it")
        before = TrainConfig.from_json(recorded)
        # What is to be chosen by itself was chosen when the run was started.
        changes = {name: value for name, value in changes.items() if value != AUTO or name == "device"}
        after = TrainConfig.from_json({**recorded, **changes, "run": self.path})
        for name in sorted(changes.keys() - FREE_ON_RESUME - {"run", "store"}):
            if getattr(before, name) != getattr(after, name):
                raise RunError(
                    f"{self.path}: was started with {name}={getattr(before, name)} and cannot go on with "
                    f"{getattr(after, name)}; leave it out, or start another --run"
                )
        return after

    def write_config(self, config: TrainConfig, framework: str, parameters: int) -> None:
        """Write ``config.json``, which makes the folder a run directory."""
        self._write_json("config.json", {**config.to_json(), "framework": framework, "parameters": parameters})

    def write_specification(self, specification: Specification) -> None:
        """Write ``architecture.json``: the model, so that a change in the file that described it is noticed."""
        self._write_json("architecture.json", specification.to_json())

    def check_specification(self, specification: Specification) -> None:
        """Refuse to go on with another model; raises RunError."""
        path = self.path / "architecture.json"
        if path.exists() and json.loads(path.read_text()) != json.loads(json.dumps(specification.to_json())):
            raise RunError(f"{path}: the run was started with another model; start another --run")

    def write_environment(self, store: Store, device: str) -> None:
        """Write ``environment.json``: what ran where, on which data."""
        keys = ("title", "dataset", "simulated", "sources", "split_scheme", "split_ranges", "seed")
        identity = {"path": str(store.path), "digest": store.digest}
        self._write_json(
            "environment.json",
            {
                "command": shlex.join(sys.argv),
                "device": device,
                "platform": platform.platform(),
                "python": platform.python_version(),
                "packages": installed(PACKAGES),
                "store": {**identity, **{key: store.attributes[key] for key in keys}},
            },
        )

    def _recorded(self) -> dict[str, Any]:
        try:
            recorded = json.loads((self.path / "config.json").read_text())
        except (OSError, ValueError):
            return {}
        return recorded if isinstance(recorded, dict) else {}

    def _write_json(self, name: str, values: Mapping[str, Any]) -> None:
        with replacing(self.path / name) as file:
            file.write((json.dumps(values, indent=2) + "\n").encode())


def installed(packages: tuple[str, ...]) -> dict[str, str]:
    """Return the versions of those of the distributions that are installed."""
    versions = {}
    for name in packages:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
