"""A store and runs of version 0.1, made by its own programs, work as they are: see README.md in version-0.1.zip."""

import importlib.util
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from evaluate.cli import app as evaluate_app
from ingest.executors import open_executor
from ingest.verify import verify
from store.model_process import open_model
from store.opening import open_dataset
from store.predictions import Predictions
from store.stream import BatchStream
from tests.examples import run_program

KEPT = Path(__file__).with_name("version-0.1.zip")
MODULES = {"torch": "torch", "keras": "tensorflow", "logistic": "sklearn"}
SLOW = [pytest.param(framework, marks=pytest.mark.slow) for framework in ("torch", "keras")]


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of the unpacked archive, also the working directory, to which the runs' store is relative."""
    with zipfile.ZipFile(KEPT) as archive:
        archive.extractall(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def require(framework: str) -> None:
    if not importlib.util.find_spec(MODULES[framework]):
        pytest.skip(f"{MODULES[framework]} is not installed")


def test_its_store_is_complete_and_gives_every_sample(kept: Path) -> None:
    with open_executor() as executor:
        assert verify(kept / "showers.zarr", [], executor).problems == ()
    stream = BatchStream(kept / "showers.zarr", split="train", batch_size=16)
    assert sorted(sample for batch in stream for sample in batch.sample.tolist()) == list(range(84))


def test_its_runs_are_reported(kept: Path) -> None:
    done = run_program(evaluate_app, "report", "runs/torch", "runs/keras", "--output", "report")
    assert done.status == 0, done.err
    metrics = json.loads((kept / "report/metrics.json").read_text())
    assert [run["name"] for run in metrics["runs"]] == ["torch", "keras"]


@pytest.mark.parametrize("framework", ["logistic", *SLOW])
def test_its_models_give_the_scores_that_they_gave(kept: Path, framework: str) -> None:
    require(framework)
    run, dataset = kept / "runs" / framework, open_dataset(kept / "showers.zarr", split="test")
    with open_model(framework, run) as model:
        scores = model(dataset.image.values, np.empty((dataset.sizes["sample"], 0), np.float32))
    then = Predictions.load(run / "predictions/test.npz")
    assert np.array_equal(then.label, dataset.label.values)
    np.testing.assert_allclose(scores, then.score, rtol=1e-5)


@pytest.mark.parametrize("framework", ["torch", SLOW[1]])
def test_its_stopped_runs_continue_as_if_they_had_not_been_stopped(kept: Path, framework: str) -> None:
    require(framework)
    program = Path(sys.executable).with_name(f"train-{framework}")
    words = ["--run", f"runs/{framework}-stopped", "--resume"]
    done = subprocess.run([program, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    expected, history = (
        [json.loads(line) for line in (kept / path).read_text().splitlines()]
        for path in (f"{framework}-stopped.jsonl", f"runs/{framework}-stopped/history.jsonl")
    )
    for quantity in ("epoch", "learning_rate", "train_loss", "validation_loss", "validation_auc"):
        values, wanted = ([record[quantity] for record in records] for records in (history, expected))
        assert values == pytest.approx(wanted, rel=1e-5), quantity
