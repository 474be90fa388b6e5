"""Several ranks on one machine."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import store
from store.errors import StateError
from store.predictions import Predictions
from store.run_folder import RunFolder
from tests.train.pytorch.ranks import run_ranks
from train.checkpoint import Checkpoint
from train.precision import processor_has_bfloat16
from train.pytorch.backend import TorchBackend
from train.resolve import resumed_config
from train.run import run_training

ROOT = Path(__file__).parents[3]
PROGRAMS = Path(sys.executable).parent
TOLERANCES = {"cnn-small": 1e-5, "shower-transformer": 2e-4, "jet-cnn": 1e-5}  # batch normalisation amplifies rounding


@pytest.fixture(scope="module")
def gradients(showers: Path, three_classes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gradients")
    models = ("cnn-small", showers, "shower-transformer", showers, "jet-cnn", three_classes)
    for ranks in (1, 2):
        side = (sys.executable, "-m", "tests.train.pytorch.rank_side")
        run_ranks(ranks, *side, 38 // ranks, folder, *models)
    return folder


@pytest.mark.parametrize("model", TOLERANCES)
def test_two_ranks_have_the_gradients_of_one_with_twice_the_batch(gradients: Path, model: str) -> None:
    samples = 120 if model == "jet-cnn" else 240
    for size in (38, samples % 38):  # a whole batch, and the rest at the end
        one, two = (np.load(gradients / f"{model}-{ranks}-{size}.npz") for ranks in (1, 2))
        assert np.array_equal(np.sort(one["samples"]), np.sort(two["samples"]))
        largest = max(np.abs(one[name]).max() for name in one.files if name.endswith(("weight", "bias")))
        for name in one.files:
            # Biases that a softmax or batch normalisation cancels have gradients of nothing but rounding.
            scale = max(np.abs(one[name]).max(), 1e-3 * largest)
            np.testing.assert_allclose(two[name], one[name], atol=TOLERANCES[model] * scale, err_msg=name)


def test_all_ranks_take_the_precision_that_each_of_them_has(gradients: Path) -> None:
    own = "bfloat16" if processor_has_bfloat16() else "float32"
    assert (gradients / "precision-1-0").read_text() == f"{own} {own}"
    assert {(gradients / f"precision-2-{rank}").read_text() for rank in (0, 1)} == {f"float32 {own}"}


@pytest.mark.slow
def test_two_ranks_train_one_run(showers: Path, tmp_path: Path) -> None:
    # The documented command; without `--`, torchrun would take --run for one of its own options.
    torchrun = (PROGRAMS / "torchrun", "--standalone", "--nproc-per-node", 2, "--no-python", "--")
    words = (PROGRAMS / "train-torch", "--device", "cpu", "--run", tmp_path / "run")
    settings = ("--store", showers, "--batch-size", 25, "--epochs", 1)
    command = list(map(str, (*torchrun, *words, *settings)))
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("epoch 1/1") == 1, "one rank speaks"
    first, second = run_ranks(2, *words, "--resume", "--epochs", 2)
    assert "epoch 2/2" in first
    assert "epoch" not in second
    history = [json.loads(line) for line in (tmp_path / "run" / "history.jsonl").read_text().splitlines()]
    assert [epoch["epoch"] for epoch in history] == [1, 2]
    validation = Predictions.load(tmp_path / "run" / "predictions" / "validation.npz")
    loss = -np.log(np.where(validation.label, validation.score, 1 - validation.score)).mean()
    best = min(epoch["validation_loss"] for epoch in history)
    assert best == pytest.approx(loss, rel=1e-6)  # both ranks validate the same model
    for split in ("train", "validation", "test"):
        predictions = Predictions.load(tmp_path / "run" / "predictions" / f"{split}.npz")
        start, stop = store.open_store(showers).split_range(split)
        assert np.array_equal(predictions.sample, np.arange(start, stop))
    assert len(Checkpoint.load(tmp_path / "run" / "checkpoints" / "last.npz").arrays["random/cpu"]) == 2
    config = resumed_config(RunFolder(path=tmp_path / "run"), "torch", {"epochs": 3})
    before = (tmp_path / "run" / "config.json").read_bytes()
    with pytest.raises(StateError, match=r"last\.npz: .* batch_size=25 and world_size=2, this stream 25 and 1; .* 50"):
        run_training(config, "torch", TorchBackend, resume=True)
    assert (tmp_path / "run" / "config.json").read_bytes() == before
    run_training(replace(config, batch_size=50), "torch", TorchBackend, resume=True)
    history = [json.loads(line) for line in (tmp_path / "run" / "history.jsonl").read_text().splitlines()]
    assert [epoch["epoch"] for epoch in history] == [1, 2, 3]


def test_a_run_stopped_within_an_epoch_continues_with_another_number_of_ranks(showers: Path, tmp_path: Path) -> None:
    # With two ranks to the end; and with two up to a checkpoint within the first epoch, and one from there on.
    words = ("--store", showers, "--device", "cpu", "--epochs", 1, "--model", "cnn-small", "--seed", 3)
    words += ("--shuffle", "window", "--save-every", 0, "--batch-size", 3, "--run", tmp_path / "whole")
    words += ("--precision", "float32")
    run_ranks(2, sys.executable, "-m", "tests.train.pytorch.copied_side", tmp_path / "stopped", *words)
    checkpoint = Checkpoint.load(tmp_path / "stopped" / "checkpoints" / "last.npz")
    assert (checkpoint.epoch, checkpoint.stream["batch"], len(checkpoint.outputs["sample"])) == (0, 32, 32 * 6)
    config = resumed_config(RunFolder(path=tmp_path / "stopped"), "torch", {"batch_size": 6})
    run_training(config, "torch", TorchBackend, resume=True)
    one, two = (
        json.loads((tmp_path / name / "history.jsonl").read_text().splitlines()[0]) for name in ("whole", "stopped")
    )
    for name in ("train_loss", "validation_loss"):
        assert two[name] == pytest.approx(one[name], rel=1e-3)
    for name in ("train_auc", "validation_auc"):  # rounding may exchange a pair of the 80 validation samples: 1 / 1600
        assert two[name] == pytest.approx(one[name], abs=2e-3)
