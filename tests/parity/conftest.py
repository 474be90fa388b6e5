"""Both sides of the comparison: PyTorch in the tests' own process, Keras in another, exchanging files."""

import fcntl
import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.jets import write_jet_store
from tests.parity.cases import MODELS, large_weights, model_specification
from train.model.weights import initial_weights, save_weights
from train.pytorch.model import Classifier

ROOT = Path(__file__).parents[2]


def run_python(*words: str | Path, cwd: Path) -> None:
    """Run Python in a process of its own and show what it said if it fails."""
    environment = os.environ | {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run([sys.executable, *words], cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@dataclass(frozen=True, kw_only=True)
class Sides:
    """The folder in which both sides find stores and exchange files."""

    folder: Path
    keras: dict[str, Any]


@pytest.fixture(scope="session")
def sides(showers: Path, tmp_path_factory: pytest.TempPathFactory) -> Sides:
    """Both sides, made once: processes of pytest-xdist have folders of their own in one that they share."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "parity"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "keras.json").exists():
            make_sides(folder, showers)
    return Sides(folder=folder, keras=json.loads((folder / "keras.json").read_text()))


def make_sides(folder: Path, showers: Path) -> None:
    (folder / "showers.zarr").symlink_to(showers)
    write_jet_store(folder)
    for name in MODELS:
        described = model_specification(folder, name)
        model = Classifier(described)
        model.set_weights(large_weights(described, seed=1))
        save_weights(folder / f"{name}-torch.npz", model.weights())
        # Whatever they are published with: weights that learn something in fifty steps.
        start = initial_weights(replace(described.architecture, initialiser="he"), described.image_shape, seed=1)
        save_weights(folder / f"{name}-start.npz", start)
    run_python("-m", "tests.parity.keras_side", folder, cwd=ROOT)
