"""PyTorch resumes a training with teachers within an epoch, bit for bit, when the teachers are gone."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from store.run_folder import SCORERS
from tests.train.conftest import LineBackend
from train.backend import Steps
from train.checkpoint import Checkpoint
from train.config import TrainConfig
from train.presets import preset
from train.pytorch.backend import TorchBackend
from train.run import run_training


class Interrupted(TorchBackend):
    """Is interrupted in its sixth step."""

    taken = 0

    def train(self, steps: Steps, rates: Any) -> torch.Tensor:
        self.taken += 1
        if self.taken == 6:
            raise KeyboardInterrupt
        return super().train(steps, rates)


@pytest.mark.parametrize("feed", ["stream", "resident"])
def test_resumes_without_its_teacher(
    three_classes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, feed: str
) -> None:
    monkeypatch.setitem(SCORERS, "torch", "tests.train.line_score")
    settings = preset("challenge") | {"model": "jet-cnn", "normalisation": "log", "batch_size": 20, "epochs": 3}
    whole = TrainConfig(
        run=tmp_path / "whole",
        store=three_classes,
        device="cpu",
        teach=[str(tmp_path / "teacher")],
        feed=feed,
        class_weights=(1, 2, 1),
        **settings,
    )
    teacher = replace(whole, run=tmp_path / "teacher", teach="none", feed="stream", learning_rate=1e-3)
    run_training(teacher, "torch", lambda specification, config, weights: LineBackend(specification, config))
    run_training(whole, "torch", TorchBackend)
    parts = replace(whole, run=tmp_path / "parts", save_every=0.0)
    with pytest.raises(KeyboardInterrupt):
        run_training(parts, "torch", Interrupted)
    shutil.rmtree(teacher.run)
    assert Checkpoint.load(parts.run / "checkpoints" / "last.npz").stream["batch"] > 0
    run_training(parts, "torch", TorchBackend, resume=True)
    one, two = (Checkpoint.load(run / "checkpoints" / "last.npz").arrays for run in (whole.run, parts.run))
    assert one.keys() == two.keys()
    for name, array in one.items():
        np.testing.assert_array_equal(array, two[name], err_msg=name)
