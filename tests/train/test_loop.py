"""The training loop, with a backend that needs no framework."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import store
from store.arrays import Float32Array
from store.datasets import SPLITS
from store.errors import ConfigError, RunError, StateError, StoreError
from store.predictions import Predictions
from store.run_folder import RunFolder
from tests.examples import write_store
from tests.train.conftest import LineBackend
from tests.train.loop_runs import Factory, history, timeless
from train.backend import Steps
from train.checkpoint import Checkpoint
from train.config import TrainConfig
from train.metrics import compute_metrics, sigmoid
from train.model.networks import CNN_SMALL
from train.run import run_training


def test_leaves_a_complete_run(config: TrainConfig, showers: Path) -> None:
    factory = Factory()
    run_training(config, "torch", factory)
    ranges = store.open_store(showers).attributes["split_ranges"]
    for split, (start, stop) in ranges.items():
        predictions = Predictions.load(config.run / "predictions" / f"{split}.npz")
        np.testing.assert_array_equal(predictions.sample, np.arange(start, stop))
        np.testing.assert_array_equal(predictions.label, store.open_dataset(showers, split=split).label)
    environment = json.loads((config.run / "environment.json").read_text())
    assert environment["store"]["digest"] == store.open_dataset(showers).attrs["content_digest"]
    assert environment["store"]["simulated"] == "Geant4 simulation"
    assert environment["store"]["split_ranges"] == ranges
    assert environment["packages"]["numpy"] == np.__version__
    assert [epoch["epoch"] for epoch in history(config.run)] == [1, 2, 3, 4]
    assert {"train_auc", "validation_accuracy", "learning_rate", "waiting_share"} <= history(config.run)[0].keys()
    assert list((config.run / "tensorboard").glob("events.*"))


def test_trains_on_the_training_split_alone_each_sample_once_per_epoch(config: TrainConfig, showers: Path) -> None:
    factory = Factory()
    run_training(config, "torch", factory)
    start, stop = store.open_store(showers).attributes["split_ranges"]["train"]
    seen = np.concatenate(factory.made[0].trained).reshape(4, stop - start)
    for epoch in seen:
        np.testing.assert_array_equal(np.sort(epoch), np.arange(start, stop))
    assert not np.array_equal(seen[0], seen[1])


def test_trains_on_a_part_and_predicts_all(config: TrainConfig) -> None:
    factory = Factory()
    run_training(replace(config, train_samples=100, epochs=1), "torch", factory)
    assert sorted(np.concatenate(factory.made[0].trained)) == list(range(100))
    predicted = {split: Predictions.load(config.run / "predictions" / f"{split}.npz").sample for split in SPLITS}
    ranges = store.open_store(config.store).attributes["split_ranges"]
    np.testing.assert_array_equal(predicted["train"], np.arange(100))
    np.testing.assert_array_equal(predicted["test"], np.arange(*ranges["test"]))


def test_metrics_are_over_samples(config: TrainConfig, showers: Path) -> None:
    # 240 samples in batches of 50: an average of batch means would weigh the last 40 too much.
    factory = Factory()
    run_training(replace(config, epochs=1), "torch", factory)
    validation = Predictions.load(config.run / "predictions" / "validation.npz")
    metrics = compute_metrics(validation.label, np.log(validation.score / (1 - validation.score)))
    epoch = history(config.run)[0]
    assert epoch["validation_loss"] == pytest.approx(metrics.loss, rel=1e-9)
    assert epoch["validation_accuracy"] == metrics.accuracy
    assert epoch["validation_auc"] == pytest.approx(metrics.auc, rel=1e-12)


def test_the_best_weights_by_validation_loss_are_exported(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    # Steps that grow lead away from the minimum, so that an epoch in the middle is the best.
    rates = iter(np.repeat([0.5, 0.5, -0.5, -5.0], 5))
    train = LineBackend.train
    monkeypatch.setattr(LineBackend, "train", lambda self, steps, _: train(self, steps, [next(rates)]))
    factory = Factory()
    run_training(config, "torch", factory)
    losses = [epoch["validation_loss"] for epoch in history(config.run)]
    best = Checkpoint.load(config.run / "checkpoints" / "best.npz")
    assert best.epoch == int(np.argmin(losses)) + 1 < 4
    np.testing.assert_array_equal(np.load(config.run / "model.safetensors"), best.arrays["weights"])
    test = Predictions.load(config.run / "predictions" / "test.npz")
    backend = factory.made[0]
    backend.load_state_dict(best.arrays)
    batches = list(store.BatchStream(config.store, split="test", batch_size=7, shuffle="none"))
    expected = np.concatenate([sigmoid(backend.predict(batch)) for batch in batches])
    np.testing.assert_allclose(test.score, expected, rtol=1e-12)


def test_stops_early_and_lowers_the_rate(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LineBackend, "train", lambda self, steps, rates: np.zeros(len(steps.label)))  # learns nothing
    run_training(replace(config, epochs=50, patience=4), "torch", Factory())
    assert [epoch["learning_rate"] for epoch in history(config.run)] == [0.5, 0.5, 0.5, 0.25, 0.25]


def test_every_step_has_its_rate(config: TrainConfig) -> None:
    factory = Factory()
    run_training(replace(config, epochs=2, schedule="cosine", warm_up=1.0), "torch", factory)
    middles = (np.arange(10) + 0.5) / 5  # time in the middle of each batch, in epochs of five batches
    expected = 0.25 * (1 + np.cos(np.pi * middles / 2)) * np.minimum(1, middles)
    np.testing.assert_allclose(factory.made[0].rates, expected)


def test_nan_ends_in_one_error(config: TrainConfig) -> None:
    # With 5 batches per epoch, the eighth batch is the third one of the second epoch.
    with pytest.raises(RunError, match=r"run: the loss is NaN or infinite: epoch 2, batch 3; lower --learning-rate"):
        run_training(config, "torch", Factory(broken_from=8))
    assert len(history(config.run)) == 1


class SpoiltBackend(LineBackend):
    """Its third step spoils the weights, which the logits of that step do not show."""

    def train(self, steps: Steps, rates: Sequence[float]) -> npt.NDArray[np.float64]:
        logit = super().train(steps, rates)
        if len(self.trained) == 3:
            self.weights = self.weights * np.nan
        return logit


def test_no_checkpoint_holds_weights_that_are_not_finite(config: TrainConfig) -> None:
    with pytest.raises(RunError, match=r"run: weights became NaN or infinite: epoch 1, batch 3; lower --learning-rate"):
        run_training(replace(config, save_every=0.0), "torch", SpoiltBackend)
    last = Checkpoint.load(config.run / "checkpoints" / "last.npz")
    assert last.stream["batch"] == 2
    assert np.isfinite(last.arrays["weights"]).all()


@pytest.mark.parametrize(("cut", "save_every"), [(1, 0.0), (6, 0.0), (8, 0.0), (6, 1e9), (18, 1e9)])
def test_resumed_run_equals_one_never_interrupted(
    config: TrainConfig, tmp_path: Path, cut: int, save_every: float
) -> None:
    config = replace(config, schedule="cosine", warm_up=0.5, augmentation="flips")
    run_training(config, "torch", Factory())
    other = replace(config, run=tmp_path / "other", save_every=save_every)
    with pytest.raises(RunError):
        run_training(other, "torch", Factory(broken_from=cut))
    again = Factory()
    run_training(other, "torch", again, resume=True)
    done = 20 - len(again.made[0].trained)
    assert done == (5 * ((cut - 1) // 5) if save_every else cut - 1)
    assert timeless(other.run) == timeless(config.run)
    for name in ("checkpoints/last.npz", "checkpoints/best.npz"):
        one, two = Checkpoint.load(config.run / name), Checkpoint.load(other.run / name)
        np.testing.assert_array_equal(one.arrays["weights"], two.arrays["weights"])
        assert replace(one, arrays={}) == replace(two, arrays={})


def test_resume_before_the_first_epoch_ended_starts_afresh(config: TrainConfig, tmp_path: Path) -> None:
    run_training(config, "torch", Factory())
    other = replace(config, run=tmp_path / "other")
    with pytest.raises(RunError):
        run_training(other, "torch", Factory(broken_from=2))
    run_training(other, "torch", Factory(), resume=True)
    assert timeless(other.run) == timeless(config.run)


def test_epochs_after_the_checkpoint_are_done_again(config: TrainConfig) -> None:
    run_training(config, "torch", Factory())
    before = timeless(config.run)
    first = replace(config, epochs=2, run=config.run.with_name("first"))
    run_training(first, "torch", Factory())
    with (first.run / "history.jsonl").open("a") as file:
        file.write('{"epoch": 3, "train_loss": 0.')  # killed after the history was written, before the checkpoint
    run_training(replace(first, epochs=4), "torch", Factory(), resume=True)
    assert timeless(first.run) == before


def test_a_finished_run_resumes_to_itself(config: TrainConfig) -> None:
    run_training(config, "torch", Factory())
    before = history(config.run)
    factory = Factory()
    run_training(config, "torch", factory, resume=True)
    assert history(config.run) == before
    assert not factory.made[0].trained


def test_does_not_resume_on_another_store(config: TrainConfig, tmp_path: Path) -> None:
    run_training(replace(config, epochs=1), "torch", Factory())
    checkpoint = Checkpoint.load(config.run / "checkpoints" / "last.npz")
    replace(checkpoint, stream={**checkpoint.stream, "store": "0" * 64}).save(config.run / "checkpoints" / "last.npz")
    with pytest.raises(StateError, match=r"last\.npz: the state has store='0000"):
        run_training(config, "torch", Factory(), resume=True)


def test_does_not_resume_without_its_history(config: TrainConfig) -> None:
    run_training(replace(config, epochs=2), "torch", Factory())
    path = config.run / "history.jsonl"
    first, _ = path.read_text().splitlines()
    path.write_text(first)
    with pytest.raises(StateError, match=r"history.jsonl: has 1 epochs, but the checkpoint is of epoch 2; restore"):
        run_training(config, "torch", Factory(), resume=True)
    path.write_text("")
    with pytest.raises(RunError, match=r"history.jsonl: holds no epoch"):
        run_training(config, "torch", Factory(), resume=True)


def test_images_that_do_not_fit_leave_no_run(tmp_path: Path) -> None:
    small = write_store(tmp_path / "small.zarr")
    config = TrainConfig(run=tmp_path / "run", store=small)
    with pytest.raises(StoreError, match="no statistics"):
        run_training(config, "torch", Factory())
    assert not config.run.exists()


def test_a_missing_device_leaves_no_run(config: TrainConfig) -> None:
    def no_device(specification: Any, config: TrainConfig, weights: Float32Array | None) -> LineBackend:
        raise ConfigError("no such device")

    with pytest.raises(ConfigError, match="no such device"):
        run_training(config, "torch", no_device)
    assert not config.run.exists()


def test_what_depends_on_the_store_is_recorded(config: TrainConfig, showers: Path) -> None:
    run_training(replace(config, epochs=1, class_weights="balanced", normalisation="auto"), "torch", Factory())
    recorded = json.loads((config.run / "config.json").read_text())
    label = store.open_dataset(showers, split="train").label.values
    assert recorded["class_weights"] == pytest.approx(label.size / (2 * np.bincount(label)))
    assert (recorded["shuffle"], recorded["normalisation"]) == ("full", "log")


def test_a_full_disk_is_seen_before_the_first_epoch(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(config.run.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    with pytest.raises(RunError, match=r"run: the disk is too small: the run needs [0-9,]+ bytes, 1,000 are free"):
        run_training(config, "torch", Factory())
    assert not (config.run / "history.jsonl").exists()
    monkeypatch.undo()
    run_training(config, "torch", Factory())
    before = {path: path.read_bytes() for path in config.run.rglob("*.npz")}
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    with pytest.raises(RunError, match="the disk is too small"):
        run_training(replace(config, model="vit"), "torch", Factory(), overwrite=True)
    assert {path: path.read_bytes() for path in before} == before, "nothing is replaced before there is room"


def test_a_start_that_failed_leaves_a_place_to_start_at(config: TrainConfig) -> None:
    (config.run / "checkpoints").mkdir(parents=True)  # as after a kill at that point
    run_training(replace(config, epochs=1), "torch", Factory())
    assert len(history(config.run)) == 1


def test_a_run_that_is_trained_is_left_alone(config: TrainConfig) -> None:
    run_training(replace(config, epochs=1), "torch", Factory())
    with RunFolder(path=config.run).locked():
        for words in ({"resume": True}, {"overwrite": True}):
            with pytest.raises(RunError, match="run: another process is training in this directory"):
                run_training(config, "torch", Factory(), **words)
    assert len(history(config.run)) == 1
    run_training(config, "torch", Factory(), resume=True)


def test_a_run_is_not_resumed_with_a_model_that_was_changed(config: TrainConfig, tmp_path: Path) -> None:
    (path := tmp_path / "mine.json").write_text(json.dumps(CNN_SMALL.to_dict()))
    config = replace(config, model=str(path), epochs=1)
    run_training(config, "torch", Factory())
    run_training(replace(config, epochs=2), "torch", Factory(), resume=True)
    path.write_text(path.read_text().replace("relu", "gelu"))
    with pytest.raises(RunError, match=r"architecture\.json: the run was started with another model"):
        run_training(replace(config, epochs=3), "torch", Factory(), resume=True)
    assert len(history(config.run)) == 2


def test_a_run_keeps_the_network_that_its_name_stood_for(config: TrainConfig) -> None:
    run_training(replace(config, model="cnn-small", epochs=1), "torch", Factory())
    path = config.run / "architecture.json"
    path.write_text(path.read_text().replace('"units": 64', '"units": 65'))  # as if it were of another version
    before = path.read_text()
    run_training(replace(config, model="cnn-small", epochs=2), "torch", Factory(), resume=True)
    assert path.read_text() == before
    assert len(history(config.run)) == 2
    path.write_text(json.dumps(json.loads(before) | {"image_shape": [32, 31, 2]}))
    with pytest.raises(RunError, match=r"architecture\.json: the run was started with another model"):
        run_training(replace(config, model="cnn-small", epochs=3), "torch", Factory(), resume=True)
    path.write_text(before.replace('"relu"', '"rely"', 1))
    with pytest.raises(RunError, match=r"architecture\.json: conv: activation='rely' is not one of"):
        run_training(replace(config, model="cnn-small", epochs=3), "torch", Factory(), resume=True)


def test_overwrite_replaces_a_run(config: TrainConfig) -> None:
    run_training(config, "torch", Factory())
    with pytest.raises(RunError, match="already exists"):
        run_training(config, "torch", Factory())
    run_training(replace(config, epochs=1), "torch", Factory(), overwrite=True)
    assert len(history(config.run)) == 1


def test_an_interrupted_training_says_how_to_continue(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    original = LineBackend.train

    def interrupt(self: LineBackend, *inputs: Any) -> Any:
        if len(self.trained) == 7:  # in the second epoch
            raise KeyboardInterrupt
        return original(self, *inputs)

    monkeypatch.setattr(LineBackend, "train", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run_training(config, "torch", Factory())
    assert f"`train-torch --run {config.run} --resume` continues this run" in " ".join(capsys.readouterr().err.split())
    monkeypatch.undo()
    run_training(config, "torch", Factory(), resume=True)
    assert len(history(config.run)) == 4
