"""Feeds of Keras, and calls of several steps, in a process of its own."""

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
    command = [sys.executable, "-m", "tests.train.keras.feed_side", str(showers)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def test_a_stream_on_the_cpu_gives_one_batch_per_call(report: dict[str, Any]) -> None:
    assert report["plain"] == [1] * 7


@pytest.mark.parametrize(
    ("kind", "calls"),
    [("stream 3", [3, 3, 1]), ("stream 7", [6, 1]), ("resident 1", [1] * 7), ("resident 4", [4, 2, 1])],
)
def test_every_feed_and_call_trains_the_same_bit_for_bit(report: dict[str, Any], kind: str, calls: list[int]) -> None:
    assert report[kind] == {"logits": True, "state": True, "counts": calls}


def test_resumes_with_the_other_feed_in_the_middle_of_an_epoch(report: dict[str, Any]) -> None:
    assert report["resumed"]


def test_images_on_the_device_are_those_of_the_store_bit_for_bit(report: dict[str, Any]) -> None:
    assert report["tensors"]
    assert report["odd"]


def test_no_step_reads_a_value_of_a_tensor(report: dict[str, Any]) -> None:
    assert report["read"] == 0


def test_refuses_sparse_streams(report: dict[str, Any]) -> None:
    assert report["sparse"].startswith("sparse=True: Keras trains on dense images")
