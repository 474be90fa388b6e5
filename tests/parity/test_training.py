"""The same steps from the same weights and batches, and the same decisions from the same losses."""

from typing import Any

import numpy as np
import pytest
import torch

from tests.parity.cases import (
    EVERYTHING,
    MODELS,
    RATE,
    STEPS,
    batch_loss,
    example_inputs,
    loss_sequences,
    model_specification,
    open_feed,
    store_of,
)
from tests.parity.conftest import Sides
from train.config import TrainConfig
from train.model.weights import load_weights
from train.presets import preset
from train.pytorch.backend import TorchBackend
from train.schedule import EarlyStopping, Plateau, StoppingState


@pytest.mark.parametrize("name", MODELS)
def test_both_start_from_the_same_weights(trained_sides: Sides, name: str) -> None:
    config = TrainConfig(run=trained_sides.folder, store=store_of(trained_sides.folder, name), seed=1)
    backend = TorchBackend(model_specification(trained_sides.folder, name), config)
    there = load_weights(trained_sides.folder / f"{name}-drawn.npz")
    here = {name.removeprefix("weights/"): a for name, a in backend.state_dict().items() if name.startswith("weights/")}
    assert here.keys() == there.keys()
    for name, array in here.items():
        np.testing.assert_array_equal(array, there[name])


@pytest.mark.parametrize("name", MODELS)
def test_same_losses_while_training(trained_sides: Sides, name: str) -> None:
    backend, losses = train(trained_sides, name)
    np.testing.assert_allclose(losses, trained_sides.keras["losses"][name], rtol=0.01)
    feed = backend.feed(open_feed(store_of(trained_sides.folder, name), batch_size=8))
    again = [batch_loss(batch, backend.to_numpy(backend.train(x, y))) for batch, x, y in feed]
    assert np.mean(again) < np.mean(losses[: len(again)]), "it learned nothing of the same batches"


def test_same_with_every_setting_of_the_optimiser(trained_sides: Sides) -> None:
    backend, losses = train(trained_sides, "shower", **EVERYTHING)
    expected, judged = trained_sides.keras["everything"]
    np.testing.assert_allclose(losses, expected, rtol=0.01)
    (images,) = example_inputs(trained_sides.folder, "shower")
    showers = torch.from_numpy(images[16:])
    found = backend.to_numpy(backend.predict((showers,)))
    np.testing.assert_allclose(found, judged[16:], atol=0.05)
    now = backend.to_numpy(backend.model.eval()(showers).detach())
    assert np.abs(now - found).max() > 0.1, "the mean of the weights is not where they are now"


def test_keras_computes_less_finely_or_compiled_to_the_same_end(trained_sides: Sides) -> None:
    losses = trained_sides.keras["losses"]["cnn-small"]
    np.testing.assert_allclose(trained_sides.keras["bfloat16"], losses, rtol=0.05)
    assert trained_sides.keras["bfloat16"] != losses
    np.testing.assert_allclose(trained_sides.keras["compiled"], losses, rtol=0.01)
    assert "precision='float16' needs a GPU" in trained_sides.keras["float16"]


def train(sides: Sides, name: str, **settings: Any) -> tuple[TorchBackend, list[float]]:
    settings = preset("challenge") | {"learning_rate": RATE, "seed": 2} | settings
    config = TrainConfig(run=sides.folder, store=store_of(sides.folder, name), **settings)
    backend = TorchBackend(model_specification(sides.folder, name), config)
    start = load_weights(sides.folder / f"{name}-start.npz")
    backend.load_state_dict({**backend.state_dict(), **{f"weights/{key}": value for key, value in start.items()}})
    stream, losses = open_feed(config.store, batch_size=8), []
    while len(losses) < STEPS:
        losses += [batch_loss(batch, backend.to_numpy(backend.train(x, y))) for batch, x, y in backend.feed(stream)]
    return backend, losses


def test_plateau_is_that_of_keras(sides: Sides) -> None:
    rates = []
    for losses in loss_sequences():
        state = Plateau().start(1e-3)
        for loss in losses:
            state = Plateau().after(state, loss)
            rates.append(state.rate)
    np.testing.assert_allclose(rates, sides.keras["rates"], rtol=1e-6)  # Keras rounds to float32
    assert len(set(rates)) > 5


def test_early_stopping_is_that_of_keras(sides: Sides) -> None:
    stops = []
    for losses in loss_sequences():
        state, stopped = StoppingState(), False
        for epoch, loss in enumerate(losses, start=1):
            state = EarlyStopping(patience=4).after(state, epoch, loss)
            stopped = stopped or EarlyStopping(patience=4).stops(state)
            stops.append(stopped)
    assert stops == sides.keras["stops"]
    assert True in stops
