"""Whole Keras runs on a GPU, by the program, so that no process loads two frameworks."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from store.predictions import Predictions

PROGRAM = Path(sys.executable).with_name("train-keras")
SHOWN = ("train_loss", "train_auc", "validation_loss", "validation_auc")
DEVICES = (pytest.param("cpu", marks=pytest.mark.slow), pytest.param("cuda", marks=pytest.mark.gpu))

pytestmark = pytest.mark.skipif(not importlib.util.find_spec("tensorflow"), reason="TensorFlow is not installed")


def train(run: Path, *words: object) -> list[dict[str, Any]]:
    """Run the program and return the history."""
    command = [PROGRAM, "--run", run, "--quiet", *words]
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2", "TF_FORCE_GPU_ALLOW_GROWTH": "true"}
    done = subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("device", DEVICES)
def test_both_feeds_train_the_same_run(showers: Path, device: str, tmp_path: Path) -> None:
    words = ("--store", showers, "--device", device, "--epochs", 2, "--batch-size", 40, "--model", "cnn-small")
    streamed, resident = (train(tmp_path / feed, *words, "--feed", feed) for feed in ("stream", "resident"))
    for one, other in zip(streamed, resident, strict=True):
        assert [one[name] for name in SHOWN] == pytest.approx([other[name] for name in SHOWN], rel=1e-2)


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["float32", "tf32", "bfloat16", "float16"])
def test_every_precision_trains_a_model_with_finite_scores(showers: Path, precision: str, tmp_path: Path) -> None:
    words = ("--store", showers, "--device", "cuda", "--epochs", 3, "--batch-size", 40, "--precision", precision)
    history = train(tmp_path / "run", *words)
    assert history[-1]["train_loss"] < history[0]["train_loss"]
    assert np.isfinite(Predictions.load(tmp_path / "run" / "predictions" / "test.npz").score).all()
