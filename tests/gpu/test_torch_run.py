"""Whole PyTorch runs on a GPU: resuming, exporting, and several ranks."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import store
from store.predictions import Predictions
from tests.gpu.cases import BATCH, DEVICES, Training
from tests.train.pytorch.ranks import run_ranks
from train.config import TrainConfig
from train.pytorch.backend import TorchBackend
from train.pytorch.model import load_model
from train.run import run_training


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("feed", ["stream", "resident"])
def test_a_resumed_training_is_an_uninterrupted_one(showers: Path, feed: str, device: str) -> None:
    whole = Training.open(showers, device, feed)
    expected = whole.train(8)
    first = Training.open(showers, device, feed)
    before = first.train(3)
    state = first.backend.state_dict()
    second = Training.open(showers, device, feed, seed=3)
    second.backend.load_state_dict(state)
    second.stream.load_state_dict({**second.stream.state_dict(), "batch": 3})
    resumed = np.concatenate([before, second.train(5)])
    # On a GPU the same sums may be added up in another order.
    tolerance = {"cpu": 0.0, "cuda": 2e-2}[device]
    np.testing.assert_allclose(resumed, expected, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("device", DEVICES)
def test_an_exported_model_gives_the_same_scores_on_the_cpu(showers: Path, device: str, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"epochs": 1, "batch_size": BATCH, "model": "shower", "feed": "resident"}
    run_training(TrainConfig(run=tmp_path / "run", store=showers, device=device, **settings), "torch", TorchBackend)
    written = Predictions.load(tmp_path / "run" / "predictions" / "test.npz")
    images = store.open_dataset(showers, split="test").image.values
    with torch.inference_mode():
        score = load_model(tmp_path / "run").score(torch.from_numpy(images)).double().numpy()
    np.testing.assert_allclose(written.score, score, atol=1e-4)


@pytest.mark.gpu
@pytest.mark.parametrize("feed", ["stream", "resident"])
def test_ranks_on_several_gpus_train_as_one(showers: Path, feed: str, tmp_path: Path) -> None:
    if torch.cuda.device_count() < 2:
        pytest.skip(f"needs 2 GPUs, PyTorch finds {torch.cuda.device_count()}")
    program = Path(sys.executable).with_name("train-torch")
    words = (program, "--store", showers, "--epochs", 1, "--model", "cnn-small", "--feed", feed, "--device", "cuda")
    for ranks in (1, 2):
        run_ranks(ranks, *words, "--batch-size", 40 // ranks, "--run", tmp_path / f"{ranks}")
    one, two = (json.loads((tmp_path / f"{ranks}" / "history.jsonl").read_text().splitlines()[0]) for ranks in (1, 2))
    for name in ("train_loss", "validation_loss"):
        assert two[name] == pytest.approx(one[name], rel=0.05)  # dropout differs between ranks
