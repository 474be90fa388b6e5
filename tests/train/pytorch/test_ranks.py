"""Several ranks on one machine, started by torchrun as a user would."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import store
from store.errors import StateError
from store.predictions import Predictions
from store.run_folder import RunFolder
from train.checkpoint import Checkpoint
from train.pytorch.backend import TorchBackend
from train.run import resumed_config, run_training

ROOT = Path(__file__).parents[3]


def torchrun(ranks: int, *words: object) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("torchrun")
    command = [program, "--standalone", "--nproc-per-node", str(ranks), "-m", "--", *map(str, words)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)


# Batch normalisation makes rounding grow.
@pytest.mark.parametrize(("model", "tolerance"), [("cnn-small", 1e-5), ("shower", 2e-4)])
def test_two_ranks_have_the_gradients_of_one_with_twice_the_batch(
    showers: Path, tmp_path: Path, model: str, tolerance: float
) -> None:
    for ranks in (1, 2):
        done = torchrun(ranks, "tests.train.pytorch.rank_side", showers, model, 38 // ranks, tmp_path)
        assert done.returncode == 0, done.stderr
    for size in (38, 240 % 38):  # a whole batch, and the rest at the end
        one, two = (np.load(tmp_path / f"{ranks}-{size}.npz") for ranks in (1, 2))
        assert np.array_equal(np.sort(one["samples"]), np.sort(two["samples"]))
        for name in one.files:
            scale = np.abs(one[name]).max()
            np.testing.assert_allclose(two[name], one[name], atol=tolerance * scale, err_msg=name)


def test_two_ranks_train_one_run(showers: Path, tmp_path: Path) -> None:
    words = ("train.pytorch.cli", "--device", "cpu", "--run", tmp_path / "run")
    settings = ("--store", showers, "--batch-size", 25, "--epochs", 1)
    done = torchrun(2, *words, *settings)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("epoch 1/1") == 1, "one rank speaks"
    done = torchrun(2, *words, "--resume", "--epochs", 2)
    assert done.returncode == 0, done.stderr
    history = [json.loads(line) for line in (tmp_path / "run" / "history.jsonl").read_text().splitlines()]
    assert [epoch["epoch"] for epoch in history] == [1, 2]
    judged = Predictions.load(tmp_path / "run" / "predictions" / "validation.npz")
    loss = -np.log(np.where(judged.label, judged.score, 1 - judged.score)).mean()
    best = min(epoch["validation_loss"] for epoch in history)
    assert best == pytest.approx(loss, rel=1e-6)  # both ranks judge the same model
    for split in ("train", "validation", "test"):
        predictions = Predictions.load(tmp_path / "run" / "predictions" / f"{split}.npz")
        start, stop = store.open_store(showers).split_range(split)
        assert np.array_equal(predictions.sample, np.arange(start, stop))
    assert len(Checkpoint.load(tmp_path / "run" / "checkpoints" / "last.npz").arrays["random/cpu"]) == 2
    with pytest.raises(StateError, match="the state has world_size=2, this stream 1"):
        run_training(
            resumed_config(RunFolder(path=tmp_path / "run"), "torch", {"epochs": 3}), "torch", TorchBackend, resume=True
        )
