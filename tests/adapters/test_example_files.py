"""The examples for Lightning and MLflow; a run's history seen in TensorBoard."""

import json
from pathlib import Path

import pytest

from store.run_folder import RunFolder
from tests.example_files import run_example
from tests.train.conftest import LineBackend
from train.config import TrainConfig
from train.run import run_training

HINT = "needs {}: ./pixiw run -e adapters test-adapters"


@pytest.fixture
def run(showers: Path, tmp_path: Path) -> RunFolder:
    """Return a run of three epochs."""
    config = TrainConfig(run=tmp_path / "run", store=showers, epochs=3, batch_size=50)
    run_training(config, "torch", LineBackend)
    return RunFolder(path=config.run)


def test_lightning_resumes_within_an_epoch(showers: Path, tmp_path: Path) -> None:
    pytest.importorskip("lightning", reason=HINT.format("Lightning"))
    import torch

    steps, batches = [], []
    for _ in range(2):
        run_example("lightning_fit.py", showers, tmp_path)
        checkpoint = torch.load(tmp_path / "last.ckpt", weights_only=False)
        (position,) = checkpoint["loops"]["fit_loop"]["state_dict"]["combined_loader"]
        steps.append(checkpoint["global_step"])
        batches.append((position["epoch"], position["batch"]))
    # Two epochs of four steps; the first program saves after every third step, the second begins with the seventh.
    assert steps == [6, 8]
    assert batches == [(1, 2), (1, 4)]


@pytest.mark.filterwarnings("default")  # MLflow's own
def test_mlflow_gets_the_history(run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow", reason=HINT.format("MLflow"))
    variables = {"MLFLOW_TRACKING_URI": (tmp_path / "mlflow").as_uri(), "MLFLOW_ALLOW_FILE_STORE": "true"}
    run_example("mlflow_history.py", run.path, **variables)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    client = mlflow.MlflowClient(variables["MLFLOW_TRACKING_URI"])
    (sent,) = client.search_runs([client.get_experiment_by_name("calostream").experiment_id])
    records = [json.loads(line) for line in run.history.read_text().splitlines()]
    seen = client.get_metric_history(sent.info.run_id, "validation_loss")
    assert [(metric.step, metric.value) for metric in seen] == [(r["epoch"], r["validation_loss"]) for r in records]
    assert sent.data.params["learning_rate"] == str(run.read_config()["learning_rate"])
    assert sent.data.tags["store"] == run.read_environment()["store"]["digest"]


def test_tensorboard_sees_the_history(run: RunFolder) -> None:
    reason = HINT.format("TensorBoard")
    module = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator", reason=reason)
    board = module.EventAccumulator(str(run.tensorboard))
    board.Reload()
    seen = [(event.step, event.value) for event in board.Scalars("validation/loss")]
    records = run.read_history()
    assert [step for step, _ in seen] == [1, 2, 3]
    assert [value for _, value in seen] == pytest.approx([record.validation_loss for record in records], rel=1e-6)
