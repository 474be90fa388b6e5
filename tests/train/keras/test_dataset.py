"""`calostream.keras.Dataset` on every backend of Keras, each in a process of its own."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
IGNORED = "ignore:__array__ implementation"  # as in pyproject.toml


@pytest.fixture(scope="module", params=["tensorflow", "torch", "jax"])
def report(request: pytest.FixtureRequest, showers: Path, jets: Path, three_classes: Path) -> dict[str, Any]:
    if not importlib.util.find_spec(request.param):
        pytest.skip(f"{request.param} is not installed; run with: ./pixiw run -e adapters pytest {__file__}")
    environment = os.environ | {"KERAS_BACKEND": request.param, "TF_CPP_MIN_LOG_LEVEL": "3"}
    words = ["-W", "error", "-W", IGNORED, "-m", "tests.train.keras.dataset_side", showers, jets, three_classes]
    command = [sys.executable, *words]
    done = subprocess.run(list(map(str, command)), cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def test_fit_sees_the_batches_of_the_stream_in_its_order(report: dict[str, Any]) -> None:
    assert report["fit"] < 1e-5
    assert report["steps"] < 1e-5
    assert report["resumed"] < 1e-5


def test_weights_of_samples_and_classes_reach_the_loss(report: dict[str, Any]) -> None:
    assert report["weights"].keys() == {"none", "column", "class", "both", "three classes"}
    assert max(report["weights"].values()) < 1e-5


def test_predicts_in_order_also_with_variables(report: dict[str, Any]) -> None:
    assert report["predict"] < 1e-5
    assert report["variables"] < 1e-5


def test_keras_gets_the_memory_of_the_batches(report: dict[str, Any]) -> None:
    assert report["memory"]


def test_gives_any_batch_by_its_number_and_epochs_in_turn(report: dict[str, Any]) -> None:
    direct = report["direct"]
    assert (direct["is"], direct["len"]) == (True, 5)
    assert direct["by number"]
    assert direct["next by number"]
    assert direct["iterated"]
    assert direct["once"] == [2, True], "an iteration and on_epoch_end are one step"
    assert direct["middle"] == [0, 1]
    assert direct["left"]
    assert direct["ended"] == [1, 0], "a state after the last batch of an epoch is one before the next epoch"


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("second", "another iteration of this dataset has begun"),
        ("sparse", "sparse=True: a Dataset gives dense images"),
        ("index", "batch 5 is not in [0, 5), the batches of the epoch"),
        ("epoch", "the state has epoch=-1, which is not an integer of at least 0"),
        ("weight", "the stream has no column 'weight'; open it with columns=('weight',)"),
        ("class", "class_weight has the class 2; the store has 0 (photon), 1 (electron)"),
        ("negative", "class_weight: -1.0 for class 1 is not a number of at least 0"),
        ("fit", "class_weight has no effect beside a Dataset"),
    ],
)
def test_refuses_what_would_be_ignored_or_wrong(report: dict[str, Any], case: str, message: str) -> None:
    assert message in report["direct"][case]
