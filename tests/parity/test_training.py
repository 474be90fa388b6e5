"""From the same weights and batches both frameworks take the same steps; the same losses give the same decisions."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.parity.cases import (
    EVERYTHING,
    MODELS,
    STEPS,
    WEIGHTED,
    batch_loss,
    example_inputs,
    loss_sequences,
    model_specification,
    open_feed,
    store_of,
    targets_of,
    training_config,
    weights_of,
)
from tests.parity.conftest import Sides, run_keras_side
from train.config import TrainConfig
from train.model.weights import load_weights
from train.pytorch.backend import TorchBackend
from train.schedule import EarlyStopping, Plateau, StoppingState


@pytest.fixture(scope="module")
def in_keras(exchange: Path) -> dict[str, Any]:
    """Return what Keras reported of all its trainings, which one process does: starting it takes longest."""
    return run_keras_side(exchange, "training").keras


@pytest.mark.parametrize("name", MODELS)
def test_both_start_from_the_same_weights(exchange: Path, in_keras: dict[str, Any], name: str) -> None:
    drawn = load_weights(exchange / f"{name}-drawn.npz")
    config = TrainConfig(run=exchange, store=store_of(exchange, name), seed=1)
    state = TorchBackend(model_specification(exchange, name), config).state_dict()
    in_torch = {key.removeprefix("weights/"): array for key, array in state.items() if key.startswith("weights/")}
    assert in_torch.keys() == drawn.keys()
    for weight, array in in_torch.items():
        np.testing.assert_array_equal(array, drawn[weight])


@pytest.mark.parametrize("name", MODELS)
def test_same_losses_while_training(exchange: Path, in_keras: dict[str, Any], name: str) -> None:
    backend, losses = train(exchange, name)
    np.testing.assert_allclose(losses, in_keras[name], rtol=0.01)
    feed = backend.feed(open_feed(store_of(exchange, name), batch_size=8))
    rates = [training_config(exchange, name).learning_rate]
    again = [batch_loss(steps, backend.copy_to_host([backend.train(steps, rates)])()) for steps in feed]
    assert np.mean(again) < np.mean(losses[: len(again)]), "it learned nothing from the same batches"


def test_same_with_every_setting_of_the_optimiser(exchange: Path, in_keras: dict[str, Any]) -> None:
    expected_losses, expected_logits = in_keras["everything"]
    backend, losses = train(exchange, "shower", **EVERYTHING)
    np.testing.assert_allclose(losses, expected_losses, rtol=0.01)
    (images,) = example_inputs(exchange, "shower")
    showers = torch.from_numpy(images[16:])
    with_ema = backend.copy_to_host([backend.predict((showers,))])()
    np.testing.assert_allclose(with_ema, expected_logits[16:], atol=0.05)
    without_ema = backend.copy_to_host([backend.model.eval()(showers).detach()])()
    assert np.abs(without_ema - with_ema).max() > 0.1, "the EMA differs from the weights"


def test_keras_trains_alike_in_lower_precision_and_compiled(in_keras: dict[str, Any]) -> None:
    losses = in_keras["cnn-small"]
    coarse, predicted = in_keras["bfloat16"]
    np.testing.assert_allclose(coarse, losses, rtol=0.05)
    assert coarse != losses
    bits = np.array(predicted, np.float32).view(np.uint32)
    assert (bits % 2**16).any(), "predictions are in float32, which has 16 bits more than bfloat16"
    np.testing.assert_allclose(in_keras["compiled"], losses, rtol=0.01)
    assert "precision='float16' needs a GPU" in in_keras["float16"]


def test_samples_have_the_same_weights_in_both(exchange: Path, in_keras: dict[str, Any]) -> None:
    _, losses = train(exchange, "cnn-small", **WEIGHTED)
    np.testing.assert_allclose(losses, in_keras["weighted"], rtol=0.01)
    _, unweighted = train(exchange, "cnn-small", **(WEIGHTED | {"weight": "none"}))
    assert np.mean(losses[-10:]) > np.mean(unweighted[-10:]) + 0.1, "the weights changed the steps"


@pytest.mark.parametrize(("name", "reported"), [("cnn-small", "taught"), ("three-classes", "three taught")])
def test_teachers_are_followed_alike(exchange: Path, in_keras: dict[str, Any], name: str, reported: str) -> None:
    settings = WEIGHTED if name == "cnn-small" else {}
    _, losses = train(exchange, name, taught=True, **settings)
    np.testing.assert_allclose(losses, in_keras[reported], rtol=0.01)
    _, by_label = train(exchange, name, **settings)
    assert np.abs(np.divide(losses, by_label) - 1).max() > 0.05, "the teachers changed the steps"


def train(folder: Path, name: str, *, taught: bool = False, **settings: Any) -> tuple[TorchBackend, list[float]]:
    """Return the backend after some steps, and the loss of each step."""
    config = training_config(folder, name, **({"seed": 2} | settings))
    backend = TorchBackend(model_specification(folder, name), config, weights_of(config))
    if taught:
        backend.teach(targets_of(config))
    start = load_weights(folder / f"{name}-start.npz")
    backend.load_state_dict({**backend.state_dict(), **{f"weights/{key}": value for key, value in start.items()}})
    stream, losses = open_feed(config.store, batch_size=8), []
    while len(losses) < STEPS:
        losses += [
            batch_loss(steps, backend.copy_to_host([backend.train(steps, [config.learning_rate])])())
            for steps in backend.feed(stream)
        ]
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
