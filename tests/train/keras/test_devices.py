"""Keras on several devices, in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def report(showers: Path) -> dict[str, Any]:
    environment = os.environ | {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-m", "tests.train.keras.device_side", str(showers)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def test_works_on_all_devices(report: dict[str, Any]) -> None:
    assert report["device"] == "cpu:0, cpu:1, cpu:2"
    devices = [f"/device:CPU:{index}" for index in range(3)]
    assert report["placement"] == {"Conv2D": devices, "Conv2DBackpropFilter": devices}
    assert report["one device"] == "cpu:0", "XLA compiles for a single device"


def test_three_devices_have_the_gradients_of_one(report: dict[str, Any]) -> None:
    difference = report["difference"]
    assert difference["last"] == 2, "fewer samples than devices at the end"
    assert difference["moments"] < 1e-5
    assert difference["logits"] < 1e-5
    assert difference["scores"] < 1e-5


def test_dropout_differs_between_devices(report: dict[str, Any]) -> None:
    assert len(set(map(tuple, report["logits"]))) == 3


def test_a_single_sample_is_enough(report: dict[str, Any]) -> None:
    assert report["finite"]


def test_resumed_training_is_the_same_bit_for_bit(report: dict[str, Any]) -> None:
    assert report["resumed"]


def test_each_device_may_hold_the_images(report: dict[str, Any]) -> None:
    assert report["resident"]


def test_checkpoints_keep_the_names_of_older_ones(report: dict[str, Any]) -> None:
    weights = [f"weights/residual1.body.conv1.{kind}" for kind in ("kernel", "bias")]
    assert report["names"] == [*weights, "random/residual1.body.dropout1"]


def test_refuses_ranks_and_missing_devices(report: dict[str, Any]) -> None:
    assert report["ranks"].startswith("WORLD_SIZE is above 1, but Keras trains in one process")
    assert report["cuda"].startswith("device='cuda' but TensorFlow finds no CUDA device")
