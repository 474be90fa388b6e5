"""Both trainers from the command line, each in processes of its own."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import store
from store.predictions import Predictions
from tests.pages import example
from train.checkpoint import Checkpoint
from train.model.networks import SHOWER

MODULES = {"torch": "torch", "keras": "tensorflow"}
SETTINGS = (*("--epochs", 2, "--batch-size", 40, "--clip-norm", 1),)


def skip_without(framework: str) -> None:
    if not importlib.util.find_spec(MODULES[framework]):
        pytest.skip(f"{MODULES[framework]} is not installed")


def call(framework: str, *words: object) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name(f"train-{framework}")
    return subprocess.run([program, *map(str, words)], capture_output=True, text=True)


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A run of two epochs, and the output of the program."""

    framework: str
    path: Path
    errors: str


@pytest.fixture(scope="module", params=MODULES)
def trained(request: pytest.FixtureRequest, showers: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    skip_without(request.param)
    path = tmp_path_factory.mktemp("trained") / "runs" / f"shower-{request.param}"
    done = call(request.param, "--store", showers, "--run", path, *SETTINGS)
    assert done.returncode == 0, done.stderr
    return Trained(framework=request.param, path=path, errors=done.stderr)


def test_says_what_it_does_and_nothing_else(trained: Trained) -> None:
    lines = [line for line in trained.errors.splitlines() if not line.startswith("compiling the ")]
    library = {"torch": "PyTorch", "keras": "TensorFlow"}[trained.framework]
    parameters = SHOWER.parameter_count((32, 32, 2))
    expected = [
        f"loading {library} …",
        f"shower: {parameters:,} parameters, {trained.framework} on ",
        "",  # the store
        "shuffle full, images read as blocks",
        "images streamed from the store",
        f"run directory {trained.path}; `tensorboard --logdir {trained.path}` shows its curves",
        *("epoch 1/2  loss 0.", "epoch 2/2  loss 0.", "lowest validation loss 0."),
        *("train: AUC 0.", "validation: AUC 0.", "test: AUC 0."),
        f"{trained.path} is complete; `evaluate {trained.path}` reports on it",
    ]
    for line, start in zip(lines, expected, strict=True):
        assert line.startswith(start)
    assert "(Geant4 simulation): 240 training images" in lines[2]


def test_leaves_a_whole_run_directory(trained: Trained) -> None:
    exported = {"torch": {"model.safetensors", "architecture.json"}, "keras": {"model.keras", "architecture.json"}}[
        trained.framework
    ]
    files = {path.relative_to(trained.path).as_posix() for path in trained.path.rglob("*") if path.is_file()}
    assert {path for path in files if not path.startswith("tensorboard/")} == exported | {
        *("config.json", "environment.json", "history.jsonl"),
        *("checkpoints/last.npz", "checkpoints/best.npz"),
        *(f"predictions/{split}.npz" for split in ("train", "validation", "test")),
    }
    assert any(path.startswith("tensorboard/events") for path in files)
    assert json.loads((trained.path / "config.json").read_text())["framework"] == trained.framework


def test_documented_examples_give_the_predictions_again(
    trained: Trained, showers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    test = store.open_dataset(showers, split="test")
    monkeypatch.chdir(trained.path.parents[1])
    if trained.framework == "torch":
        names: dict[str, Any] = {"images": test.image.values}
        exec(example("docs/python.md", "runs/shower-torch"), names)
        score = names["score"]
    else:
        np.save(tmp_path / "images.npy", test.image.values)
        before = f"import numpy as np; images = np.load({str(tmp_path / 'images.npy')!r})"
        after = f"np.save({str(tmp_path / 'score.npy')!r}, score)"
        code = "\n".join([before, example("docs/python.md", "runs/shower-keras"), after])
        environment = os.environ | {"KERAS_BACKEND": "tensorflow"}
        subprocess.run([sys.executable, "-I", "-c", code], env=environment, check=True, capture_output=True)
        score = np.load(tmp_path / "score.npy")
    predictions = Predictions.load(trained.path / "predictions" / "test.npz")
    np.testing.assert_allclose(score, predictions.score, atol=1e-5)
    np.testing.assert_array_equal(predictions.label, test.label)


def test_killed_inside_an_epoch_and_resumed_is_the_same_run(trained: Trained, showers: Path, tmp_path: Path) -> None:
    path = tmp_path / "killed"
    program = Path(sys.executable).with_name(f"train-{trained.framework}")
    words = [program, "--store", showers, "--run", path, *SETTINGS, "--save-every", 0]
    process = subprocess.Popen(list(map(str, words)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    last = path / "checkpoints" / "last.npz"
    while process.poll() is None:
        process.send_signal(signal.SIGSTOP)  # otherwise it could finish the epoch while the checkpoint is read
        if last.exists() and Checkpoint.load(last).stream["batch"] > 0:
            break
        process.send_signal(signal.SIGCONT)
        time.sleep(0.05)
    assert process.poll() is None, "it should not have ended yet"
    process.kill()
    process.wait()
    middle = Checkpoint.load(last)
    assert middle.stream["batch"] > 0
    assert len(middle.outputs["logit"]) == 40 * middle.stream["batch"]
    done = call(trained.framework, "--run", path, "--resume")
    assert done.returncode == 0, done.stderr
    assert_same_checkpoints(*(folder / "checkpoints" / "last.npz" for folder in (trained.path, path)))
    assert timeless(trained.path) == timeless(path)


@pytest.mark.parametrize("trained", ["keras"], indirect=True)
def test_a_network_in_keras_teaches_one_in_pytorch(trained: Trained, showers: Path, tmp_path: Path) -> None:
    run = tmp_path / "student"
    words = ("--store", showers, "--run", run, "--model", "cnn-small", "--epochs", 1, "--teach", trained.path)
    done = call("torch", *words, "--teach-share", 0.5)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[0] == f"teacher {trained.path}: 240 training images scored"
    expected = Predictions.load(trained.path / "predictions" / "train.npz")
    with np.load(run / "teachers.npz") as scores:
        np.testing.assert_array_equal(scores["sample"], expected.sample)
        np.testing.assert_allclose(scores["score"], expected.score, atol=1e-5)


def timeless(run: Path) -> list[dict[str, float]]:
    clocks = ("samples_per_second", "waiting_share", "seconds")
    epochs = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    return [{name: value for name, value in epoch.items() if name not in clocks} for epoch in epochs]


def assert_same_checkpoints(one: Path, two: Path) -> None:
    whole, parts = Checkpoint.load(one), Checkpoint.load(two)
    assert (whole.epoch, whole.schedule, whole.stopping) == (parts.epoch, parts.schedule, parts.stopping)
    assert whole.arrays.keys() == parts.arrays.keys()
    for name, array in whole.arrays.items():
        np.testing.assert_array_equal(array, parts.arrays[name], err_msg=name)


def test_missing_gpu_is_one_clear_line(showers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    skip_without("torch")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    done = call("torch", "--store", showers, "--run", tmp_path / "run", "--device", "cuda")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: device='cuda' but ")
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()
