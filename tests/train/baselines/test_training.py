"""Run directories of baselines: when an existing one is replaced, and the lock against other processes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from store.epoch_record import EpochRecord
from store.errors import ConfigError, RunError
from store.opening import Store, open_store
from store.predictions import Predictions
from store.run_folder import RunFolder
from train.baselines.logistic import Logistic, LogisticConfig, fit_logistic
from train.baselines.table import FeatureTable
from train.baselines.training import train_baseline


@pytest.fixture(scope="module")
def config(showers: Path, tmp_path_factory: pytest.TempPathFactory) -> LogisticConfig:
    """Return the settings of a run that has ended."""
    config = LogisticConfig(run=tmp_path_factory.mktemp("baseline") / "run", store=showers)
    train_baseline(config, fit_logistic)
    return config


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_an_existing_run_is_replaced_only_if_asked_to(config: LogisticConfig) -> None:
    before = contents(config.run)
    with pytest.raises(RunError, match="already exists"):
        train_baseline(config, fit_logistic)
    assert contents(config.run) == before
    RunFolder(path=config.run).model(".onnx").touch()  # a file that runs write, but not this one
    train_baseline(config, fit_logistic, overwrite=True)
    assert contents(config.run).keys() == before.keys()


def test_a_run_that_another_process_trains_in_is_not_overwritten(config: LogisticConfig) -> None:
    with RunFolder(path=config.run).locked():
        before = contents(config.run)
        with pytest.raises(RunError, match="another process is training"):
            train_baseline(config, fit_logistic, overwrite=True)
        assert contents(config.run) == before


def test_others_are_kept_out_while_it_trains(config: LogisticConfig, tmp_path: Path) -> None:
    run = tmp_path / "run"

    def train(training: FeatureTable, validation: FeatureTable) -> tuple[Logistic, list[EpochRecord]]:
        with pytest.raises(RunError, match="another process is training"), RunFolder(path=run).locked():
            pass
        return fit_logistic(training, validation)

    train_baseline(replace(config, run=run), train)
    with RunFolder(path=run).locked():
        assert Logistic.load(run).parameter_count > 1


def test_a_failed_training_leaves_the_run_that_it_would_replace(config: LogisticConfig) -> None:
    def fail(training: FeatureTable, validation: FeatureTable) -> tuple[Logistic, list[EpochRecord]]:
        raise ConfigError("made up")

    before = contents(config.run)
    with pytest.raises(ConfigError, match="made up"):
        train_baseline(config, fail, overwrite=True)
    assert contents(config.run) == before


def test_reading_the_features_counts_as_training_time(config: LogisticConfig, tmp_path: Path) -> None:
    def train(training: FeatureTable, validation: FeatureTable) -> tuple[Logistic, list[EpochRecord]]:
        classifier, (record,) = fit_logistic(training, validation)
        return classifier, [replace(record, seconds=1000.0)]

    train_baseline(replace(config, run=tmp_path / "run"), train)
    (record,) = RunFolder(path=tmp_path / "run").read_history()
    assert record.seconds is not None
    assert record.seconds > 1000


def test_a_class_without_samples_is_named(
    config: LogisticConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = replace(open_store(config.store).spec, classes=("photon", "electron", "muon"))
    monkeypatch.setattr(Store, "spec", property(lambda store: spec))
    with pytest.raises(
        ConfigError,
        match=r"showers\.zarr: the \d+ training samples have no muon; a baseline needs samples of every class",
    ):
        train_baseline(replace(config, run=tmp_path / "run"), fit_logistic)
    assert not (tmp_path / "run").exists()


def test_weights_of_a_data_set_are_used_unless_told_otherwise(three_classes: Path, tmp_path: Path) -> None:
    config = LogisticConfig(run=tmp_path / "weighted", store=three_classes, variables=("pt",))
    train_baseline(config, fit_logistic)
    train_baseline(replace(config, run=tmp_path / "plain", weight="none"), fit_logistic)
    weight = open_store(three_classes).column("weight")
    weighted, plain = (Predictions.load(tmp_path / run / "predictions" / "test.npz") for run in ("weighted", "plain"))
    assert weighted.weight is not None
    np.testing.assert_array_equal(weighted.weight, weight[weighted.sample])
    assert plain.weight is None
    assert weighted.score.shape == (len(weighted.label), 3)
    assert not np.allclose(weighted.score, plain.score, atol=1e-6)
    recorded = [RunFolder(path=tmp_path / run).read_config()["weight"] for run in ("weighted", "plain")]
    assert recorded == ["weight", "none"]


def test_the_first_training_samples_alone_are_used(config: LogisticConfig, showers: Path, tmp_path: Path) -> None:
    part = replace(config, run=tmp_path / "run", train_samples=100)
    train_baseline(part, fit_logistic)
    start, _ = open_store(showers).split_range("train")
    trained = Predictions.load(RunFolder(path=part.run).predictions("train"))
    assert trained.sample.tolist() == list(range(start, start + 100))
    assert Logistic.load(part.run).weight.tolist() != Logistic.load(config.run).weight.tolist()
    tested = (Predictions.load(RunFolder(path=run).predictions("test")) for run in (part.run, config.run))
    assert len({predictions.sample.tobytes() for predictions in tested}) == 1
    assert RunFolder(path=part.run).read_config()["train_samples"] == 100
