"""Both programs from the command line, each in processes of its own."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

import store
from store.predictions import Predictions
from train.checkpoint import Checkpoint
from train.model_torch import load_model

FRAMEWORKS = ("torch", "keras")


def call(framework: str, *words: object) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name(f"train-{framework}")
    return subprocess.run([program, *map(str, words)], capture_output=True, text=True)


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A run of two epochs, and what the program said."""

    framework: str
    path: Path
    errors: str


@pytest.fixture(scope="module", params=FRAMEWORKS)
def trained(request: pytest.FixtureRequest, showers: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    path = tmp_path_factory.mktemp("runs") / "whole"
    done = call(request.param, "--store", showers, "--run", path, "--epochs", 2, "--batch-size", 50)
    assert done.returncode == 0, done.stderr
    return Trained(framework=request.param, path=path, errors=done.stderr)


def test_says_what_it_does_and_nothing_else(trained: Trained) -> None:
    lines = trained.errors.splitlines()
    assert lines[0].startswith(f"cnn: 868,993 parameters, {trained.framework} on ")
    assert "Geant4 simulation" in trained.errors
    assert len([line for line in lines if line.startswith("epoch ")]) == 2
    assert "TF_ENABLE_ONEDNN_OPTS" not in trained.errors
    assert "Traceback" not in trained.errors


def test_leaves_a_whole_run_directory(trained: Trained) -> None:
    exported = {"torch": {"model.safetensors", "architecture.json"}, "keras": {"model.keras"}}[trained.framework]
    files = {path.relative_to(trained.path).as_posix() for path in trained.path.rglob("*") if path.is_file()}
    assert {path for path in files if not path.startswith("tensorboard/")} == exported | {
        *("config.json", "environment.json", "history.jsonl"),
        *("checkpoints/last.npz", "checkpoints/best.npz"),
        *(f"predictions/{split}.npz" for split in ("train", "validation", "test")),
    }
    assert any(path.startswith("tensorboard/events") for path in files)
    assert json.loads((trained.path / "config.json").read_text())["framework"] == trained.framework


def test_exported_model_gives_the_predictions_again(trained: Trained, showers: Path) -> None:
    test = store.open_dataset(showers, split="test")
    if trained.framework == "torch":
        with torch.inference_mode():
            score = load_model(trained.path).score(torch.from_numpy(test.image.values)).numpy()
    else:
        np.save(trained.path.parent / "images.npy", test.image.values)
        code = (
            "import keras, numpy as np; model = keras.models.load_model('whole/model.keras');"
            "np.save('score.npy', model.predict(np.load('images.npy'), verbose=0)[:, 0])"
        )
        environment = os.environ | {"KERAS_BACKEND": "tensorflow"}
        subprocess.run([sys.executable, "-c", code], cwd=trained.path.parent, env=environment, check=True)
        score = np.load(trained.path.parent / "score.npy")
    predictions = Predictions.load(trained.path / "predictions" / "test.npz")
    np.testing.assert_allclose(score, predictions.score, atol=1e-5)
    np.testing.assert_array_equal(predictions.label, test.label)


def test_one_seed_is_one_run_and_resuming_changes_nothing(trained: Trained, showers: Path, tmp_path: Path) -> None:
    path = tmp_path / "parts"
    flags = ("--store", showers, "--run", path, "--batch-size", 50)
    for words in ((*flags, "--epochs", 1), ("--run", path, "--resume", "--epochs", 2)):
        done = call(trained.framework, *words)
        assert done.returncode == 0, done.stderr
    whole, parts = (Checkpoint.load(folder / "checkpoints" / "last.npz") for folder in (trained.path, path))
    assert (whole.epoch, whole.schedule, whole.stopping) == (parts.epoch, parts.schedule, parts.stopping)
    assert whole.arrays.keys() == parts.arrays.keys()
    for name, array in whole.arrays.items():
        np.testing.assert_array_equal(array, parts.arrays[name], err_msg=name)


def test_missing_gpu_is_one_clear_line(trained: Trained, showers: Path, tmp_path: Path) -> None:
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    program = Path(sys.executable).with_name(f"train-{trained.framework}")
    words = [program, "--store", showers, "--run", tmp_path / "run", "--device", "cuda"]
    done = subprocess.run(words, capture_output=True, text=True, env=environment)
    assert done.returncode == 1
    assert done.stderr.startswith("error: device='cuda' but ")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()
