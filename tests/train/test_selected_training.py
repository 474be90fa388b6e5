"""Training on a selection, balanced or weighted, and on three classes; with a backend that needs no framework."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import store
from store.datasets import SPLITS
from store.errors import CalostreamError, ConfigError, RunError
from store.predictions import Predictions
from store.run_folder import RunFolder
from tests.examples import write_store
from tests.train.loop_runs import Factory, history, timeless
from train.checkpoint import Checkpoint
from train.config import TrainConfig
from train.metrics import compute_metrics
from train.resolve import check_samples, resumed_config
from train.run import run_training
from train.weighting import balanced_class_weights, read_weights, select_samples

CHOICE: dict[str, Any] = {"where": "source_row < 150", "balance": "class", "weight": "source_row"}


def test_trains_on_a_balanced_selection_and_predicts_all_of_it(config: TrainConfig, showers: Path) -> None:
    factory = Factory()
    run_training(replace(config, **CHOICE), "torch", factory)
    opened = store.open_store(showers)
    row, label = opened.column("source_row"), opened.column("label")
    start, stop = opened.split_range("train")
    passing = start + np.flatnonzero(row[start:stop] < 150)
    trained = np.concatenate(factory.made[0].trained)
    assert set(trained) == set(passing), "over four epochs, each sample is drawn"
    np.testing.assert_array_less(np.abs(np.diff(np.bincount(label[trained].reshape(4, -1)[0]))), 2)
    for split in SPLITS:
        sample = Predictions.load(config.run / "predictions" / f"{split}.npz").sample
        start, stop = opened.split_range(split)
        np.testing.assert_array_equal(sample, start + np.flatnonzero(row[start:stop] < 150))
    recorded = json.loads((config.run / "config.json").read_text())
    assert {name: recorded[name] for name in CHOICE} == CHOICE


def test_metrics_of_a_run_are_weighted(config: TrainConfig, showers: Path) -> None:
    run_training(replace(config, epochs=1, weight="source_row"), "torch", Factory())
    validation = Predictions.load(config.run / "predictions" / "validation.npz")
    logit, weight = np.log(validation.score / (1 - validation.score)), store.open_store(showers).column("source_row")
    metrics = compute_metrics(validation.label, logit, weight[validation.sample].astype(np.float64))
    epoch = history(config.run)[0]
    assert epoch["validation_loss"] == pytest.approx(metrics.loss, rel=1e-6)
    assert epoch["validation_accuracy"] == pytest.approx(metrics.accuracy, rel=1e-6)
    assert epoch["validation_auc"] == pytest.approx(metrics.auc, rel=1e-6)
    assert metrics.loss != compute_metrics(validation.label, logit).loss


def test_weights_have_mean_one_over_the_training_samples(config: TrainConfig, showers: Path) -> None:
    opened = store.open_store(showers)
    assert read_weights(replace(config, weight="none"), opened) is None
    weights = read_weights(replace(config, where="source_row < 150", weight="source_row"), opened)
    row = opened.column("source_row")
    assert weights is not None
    assert weights[: len(row)][:240][row[:240] < 150].mean() == pytest.approx(1, rel=1e-6)
    np.testing.assert_allclose(weights / weights.max(), row / row.max(), rtol=1e-6)


def test_balanced_classes_weigh_the_same(config: TrainConfig, showers: Path) -> None:
    opened = store.open_store(showers)
    config = replace(config, where="source_row < 150 and (label == 1 or source_row > 50)", weight="source_row")
    weights, samples = read_weights(config, opened), select_samples(config, opened, "train")
    of_class = balanced_class_weights(config, opened, weights)
    assert weights is not None
    total = np.bincount(opened.column("label")[samples], weights[samples]) * of_class
    np.testing.assert_allclose(total, len(samples) / 2, rtol=1e-5)


def test_a_class_without_training_samples_cannot_be_balanced(config: TrainConfig, showers: Path) -> None:
    with pytest.raises(ConfigError, match="class_weights='balanced': the training samples of class photon weigh 0"):
        balanced_class_weights(replace(config, where="label == 1"), store.open_store(showers), None)


def test_a_cut_is_not_to_blame_for_a_class_that_a_split_never_had(tmp_path: Path) -> None:
    path = write_store(tmp_path / "small.zarr", split_sizes=(20, 1, 9))
    config = TrainConfig(run=tmp_path, store=path, where="source_row >= 0")
    check_samples(config, store.open_store(path))
    with pytest.raises(ConfigError, match=r"where='label < 1' leaves no electron in split 'train'"):
        check_samples(replace(config, where="label < 1"), store.open_store(path))


@pytest.fixture
def of_three(config: TrainConfig, three_classes: Path) -> TrainConfig:
    return replace(config, store=three_classes, model="resnet15", epochs=2, batch_size=25, learning_rate=1e-3)


def test_three_classes_have_probabilities_and_the_weights_of_the_data_set(of_three: TrainConfig) -> None:
    run_training(of_three, "torch", Factory())
    assert json.loads((of_three.run / "config.json").read_text())["weight"] == "weight"
    opened = store.open_store(of_three.store)
    for split in SPLITS:
        predictions = Predictions.load(of_three.run / "predictions" / f"{split}.npz")
        assert predictions.score.shape == (len(predictions.label), 3)
        np.testing.assert_array_equal(predictions.weight, opened.column("weight")[predictions.sample])
    best = min(history(of_three.run), key=lambda epoch: epoch["validation_loss"])
    validation = Predictions.load(of_three.run / "predictions" / "validation.npz")
    metrics = compute_metrics(validation.label, np.log(validation.score), validation.weight)
    for name in ("loss", "accuracy", "auc"):
        assert best[f"validation_{name}"] == pytest.approx(getattr(metrics, name), rel=1e-6)


def test_weights_of_the_data_set_can_be_left_out(of_three: TrainConfig) -> None:
    run_training(replace(of_three, weight="none", epochs=1), "torch", Factory())
    validation = Predictions.load(of_three.run / "predictions" / "validation.npz")
    assert validation.weight is None
    metrics = compute_metrics(validation.label, np.log(validation.score))
    assert history(of_three.run)[0]["validation_loss"] == pytest.approx(metrics.loss, rel=1e-9)


def test_another_column_weights_the_training_alone(of_three: TrainConfig) -> None:
    run_training(replace(of_three, weight="pt", epochs=1), "torch", Factory())
    validation = Predictions.load(of_three.run / "predictions" / "validation.npz")
    assert validation.weight is None
    weight = store.open_store(of_three.store).column("pt")[validation.sample]
    metrics = compute_metrics(validation.label, np.log(validation.score), weight)
    assert history(of_three.run)[0]["validation_loss"] == pytest.approx(metrics.loss, rel=1e-6)


def test_a_training_of_three_classes_is_resumed_within_an_epoch(of_three: TrainConfig, tmp_path: Path) -> None:
    run_training(of_three, "torch", Factory())
    other = replace(of_three, run=tmp_path / "other", save_every=0.0)
    with pytest.raises(RunError):
        run_training(other, "torch", Factory(broken_from=3))
    assert Checkpoint.load(other.run / "checkpoints" / "last.npz").outputs["logit"].shape == (50, 3)
    run_training(other, "torch", Factory(), resume=True)
    assert timeless(other.run) == timeless(of_three.run)


def test_each_of_three_classes_has_a_weight(of_three: TrainConfig) -> None:
    with pytest.raises(ConfigError, match=r"class_weights=\(1.0, 2.0\): expected 3, one per class of"):
        run_training(replace(of_three, class_weights="1,2"), "torch", Factory())
    run_training(replace(of_three, class_weights="balanced", epochs=1), "torch", Factory())
    recorded = json.loads((of_three.run / "config.json").read_text())["class_weights"]
    train = store.open_dataset(of_three.store, split="train")
    total = np.bincount(train.label.values, train.weight.values)
    assert recorded == pytest.approx(total.sum() / (3 * total), rel=1e-5)


def test_a_selection_is_resumed(config: TrainConfig, tmp_path: Path) -> None:
    config = replace(config, **CHOICE)
    run_training(config, "torch", Factory())
    other = replace(config, run=tmp_path / "other", save_every=0.0)
    with pytest.raises(RunError):
        run_training(other, "torch", Factory(broken_from=6))
    run_training(other, "torch", Factory(), resume=True)
    assert timeless(other.run) == timeless(config.run)
    for name, value in CHOICE.items():
        changed = {name: "label >= 0" if name == "where" else "none"}
        with pytest.raises(RunError, match=f"was started with {name}={value} and cannot continue with"):
            resumed_config(RunFolder(path=other.run), "torch", changed)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"where": "pt > 3"}, "asks for the column 'pt'; known: label, source_file"),
        ({"where": "label == 1"}, "where='label == 1' leaves no photon in split 'train'"),
        ({"balance": "pt"}, "balance='pt' asks for the column 'pt'"),
        ({"weight": "pt"}, "weight asks for the column 'pt'"),
        ({"weight": "split"}, "the weights 'split' of split 'train' sum to 0.0"),
    ],
)
def test_a_selection_that_cannot_be_trained_on_leaves_no_run(
    config: TrainConfig, changes: dict[str, str], message: str
) -> None:
    with pytest.raises(CalostreamError, match=message):
        run_training(replace(config, **changes), "torch", Factory())
    assert not config.run.exists()
