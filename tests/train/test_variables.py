"""Models that take variables of the store besides the image; tests/parity compares the frameworks."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

import store
from evaluate.images import open_images
from evaluate.occlude import occlude
from store.datasets import QUARK_GLUON
from store.errors import ConfigError, SourceError
from store.predictions import Predictions
from tests.jets import HDF5, PARQUET
from train.checkpoint import Checkpoint
from train.config import TrainConfig
from train.pytorch.backend import TorchBackend
from train.pytorch.model import load_model
from train.run import run_training
from train.variables import VariableInputs, model_inputs, read_variables

NAMES = ("m0", "pt")


@pytest.fixture(scope="module")
def config(jets: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainConfig:
    """Train a run, and return its settings."""
    config = TrainConfig(
        run=tmp_path_factory.mktemp("runs") / "whole",
        store=jets,
        model="jet-cnn",
        variables=NAMES,
        normalisation="cms-jets",
        augmentation="flips-rotations",
        batch_size=4,
        epochs=2,
        save_every=0,
        device="cpu",
    )
    run_training(config, "torch", TorchBackend)
    return config


def columns(path: Path) -> np.ndarray:
    dataset = store.open_dataset(path)
    return np.column_stack([dataset[name].values for name in NAMES])


def test_are_standardised_by_the_training_split(jets: Path) -> None:
    inputs = VariableInputs.from_store(NAMES, store.open_store(jets))
    training = columns(jets)[:12].astype(np.float64)
    np.testing.assert_allclose(inputs.mean, training.mean(0), rtol=1e-12)
    np.testing.assert_allclose(inputs.deviation, training.std(0), rtol=1e-12)
    scaled = training * inputs.normalisation.scale + inputs.normalisation.offset
    np.testing.assert_allclose(scaled.mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(scaled.std(0), 1, rtol=1e-12)


def test_one_that_does_not_vary_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"variable 'pt' has a standard deviation of 0\.0 in .*; leave it out"):
        VariableInputs(names=("pt",), mean=(3.0,), deviation=(0.0,))


def test_integers_are_given_to_a_model_as_float32(three_classes: Path) -> None:
    dataset, values = store.open_dataset(three_classes), read_variables(("event", "pt"), three_classes)
    assert (dataset.event.dtype, values.dtype) == (np.int64, np.float32)
    np.testing.assert_array_equal(values, np.column_stack([dataset.event, dataset.pt]).astype(np.float32))
    with pytest.raises(ConfigError, match="variable 'event' has a standard deviation of 0"):  # float32 has 7 digits
        VariableInputs.from_store(("event",), store.open_store(three_classes))


def test_come_with_their_samples_in_any_order(jets: Path) -> None:
    variables_of_store = read_variables(NAMES, jets)
    for batch in store.BatchStream(jets, split="validation", batch_size=3, seed=1):
        image, variables = model_inputs(batch, variables_of_store)
        assert image is batch.image
        np.testing.assert_array_equal(variables, columns(jets)[batch.sample])


def test_an_unknown_one_leaves_no_run(config: TrainConfig, showers: Path, tmp_path: Path) -> None:
    for path, known in ((config.store, "pt, m0"), (showers, "no variables")):
        other = replace(config, run=tmp_path / "run", store=path, normalisation="max", variables=("eta",))
        with pytest.raises(ConfigError, match=f"unknown variable 'eta'; {path} has {known}"):
            run_training(replace(other, augmentation="none"), "torch", TorchBackend)
    assert not (tmp_path / "run").exists()


def test_exported_model_takes_them_as_they_are(config: TrainConfig) -> None:
    test = store.open_dataset(config.store, split="test")
    image, variables = torch.from_numpy(test.image.values), torch.from_numpy(columns(config.store)[-4:])
    predictions = Predictions.load(config.run / "predictions" / "test.npz")
    model = load_model(config.run)
    assert model.specification.variables.names == NAMES
    with torch.inference_mode():
        np.testing.assert_allclose(model.score(image, variables).numpy(), predictions.score, atol=1e-6)
        assert not np.allclose(model.score(image, variables.flip(0)).numpy(), predictions.score, atol=1e-3)


def test_interrupted_inside_an_epoch_and_resumed_is_the_same_run(config: TrainConfig, tmp_path: Path) -> None:
    class Interrupted(TorchBackend):
        steps = 0

        def train(self, inputs: Any, label: torch.Tensor) -> torch.Tensor:
            self.steps += 1
            if self.steps == 6:
                raise KeyboardInterrupt
            return super().train(inputs, label)

    other = replace(config, run=tmp_path / "other")
    with pytest.raises(KeyboardInterrupt):
        run_training(other, "torch", Interrupted)
    assert Checkpoint.load(other.run / "checkpoints" / "last.npz").stream["batch"] > 0
    run_training(other, "torch", TorchBackend, resume=True)
    whole, parts = (Checkpoint.load(run / "checkpoints" / "last.npz").arrays for run in (config.run, other.run))
    for name, array in whole.items():
        np.testing.assert_array_equal(array, parts[name], err_msg=name)


def test_occlusion_hides_parts_of_the_image_alone(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evaluate.occlude.PATCHES", 2)
    occlusion = occlude(config.run, samples=2)
    predictions = Predictions.load(config.run / "predictions" / "test.npz")
    np.testing.assert_allclose(occlusion.score, predictions.score[:2], atol=1e-6)


@pytest.mark.parametrize("form", ["hdf5", "parquet", "store"])
def test_are_read_from_what_is_to_be_scored(form: str, jets: Path) -> None:
    path = {"hdf5": HDF5, "parquet": PARQUET, "store": jets}[form]
    opened = open_images(path, QUARK_GLUON, NAMES)
    with h5py.File(HDF5) as file:
        expected = np.column_stack([file[name][:].astype(np.float32) for name in NAMES])
    rows = store.open_store(jets).group["source_row"][:] if form == "store" else slice(None)
    np.testing.assert_array_equal(opened.variables, expected[rows])


@pytest.mark.parametrize(
    ("m0", "message"),
    [
        (None, "no dataset 'm0'; the file has 'X_jets', 'pt'"),
        (np.ones(3), r"X_jets has 20 rows but m0 has shape \(3,\)"),
        (np.full(20, np.nan), r"m0\[0\] = nan is not finite"),
    ],
)
def test_missing_or_broken_ones_are_one_error(m0: np.ndarray | None, message: str, tmp_path: Path) -> None:
    with h5py.File(HDF5) as file, h5py.File(tmp_path / "hidden.hdf5", "w") as hidden:
        hidden["X_jets"], hidden["pt"] = file["X_jets"][:], file["pt"][:]
        if m0 is not None:
            hidden["m0"] = m0
    with pytest.raises(SourceError, match=f"hidden.hdf5: {message}"):
        open_images(tmp_path / "hidden.hdf5", QUARK_GLUON, NAMES)
