"""Both sides of the comparison: PyTorch in the tests' own process, Keras in another, exchanging files."""

import fcntl
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.jets import write_jet_store
from tests.parity.cases import MODELS, large_weights, model_specification
from tests.three_classes import write_three_class_store
from train.model.weights import initial_weights, save_weights

ROOT = Path(__file__).parents[2]

# An environment for GPUs has one framework, so there is nothing to compare.
collect_ignore_glob = [] if all(map(importlib.util.find_spec, ("torch", "tensorflow"))) else ["test_*.py"]


def run_python(*words: str | Path, cwd: Path, backend: str = "tensorflow") -> None:
    """Run Python in a separate process; if it fails, show what it wrote to standard error."""
    environment = os.environ | {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run([sys.executable, *words], cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@dataclass(frozen=True, kw_only=True)
class Sides:
    """Where both sides find stores and exchange files, and what the Keras side reported."""

    folder: Path
    keras: dict[str, Any]


@pytest.fixture(scope="session")
def exchange(showers: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the stores and the weights from PyTorch; processes of pytest-xdist share one."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "parity"
    folder.mkdir(exist_ok=True)
    with only_once(folder / "exchange") as needed:
        if needed:
            write_exchange(folder, showers)
    return folder


@pytest.fixture(scope="session")
def sides(exchange: Path) -> Sides:
    """Both sides, with the Keras models, feeds and callbacks."""
    return run_keras_side(exchange, "models")


@contextmanager
def only_once(mark: Path) -> Iterator[bool]:
    """Hold a lock and yield whether the block still has to do its work, because no process has completed it."""
    with mark.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield not mark.exists()
        mark.touch()


def write_exchange(folder: Path, showers: Path) -> None:
    from train.pytorch.model import Classifier  # `pytest --help` needs no framework

    (folder / "showers.zarr").symlink_to(showers)
    write_jet_store(folder)
    write_three_class_store(folder)
    for name in MODELS:
        spec = model_specification(folder, name)
        model = Classifier(spec)
        model.set_weights(large_weights(spec, seed=1))
        save_weights(folder / f"{name}-torch.npz", model.weights())
        # Not always the published initialiser, but one with which every model learns something in fifty steps.
        start = initial_weights(replace(spec.architecture, initialiser="he"), spec.image_shape, seed=1)
        save_weights(folder / f"{name}-start.npz", start)


def run_keras_side(folder: Path, part: str) -> Sides:
    """Run one part of the Keras side in a separate process, unless this has been done."""
    with only_once(folder / part) as needed:
        if needed:
            run_python("-m", "tests.parity.keras_side", folder, part, cwd=ROOT)
    return Sides(folder=folder, keras=json.loads((folder / f"{part}.json").read_text()))
