"""The Keras side: ``python -m tests.parity.keras_side FOLDER PART`` reads PyTorch's files and adds its own."""

import json
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from store.errors import ConfigError
from tests.parity.cases import (
    ANY_SIZE,
    EPOCHS,
    EVERYTHING,
    MODELS,
    STEPS,
    WEIGHTED,
    batch_loss,
    digest,
    example_inputs,
    large_weights,
    loss_sequences,
    model_specification,
    odd_images,
    odd_specification,
    open_feed,
    random_variables,
    specifications,
    store_of,
    targets_of,
    training_config,
    weights_of,
)
from train.keras.backend import KerasBackend, as_logits
from train.keras.feed import Feed, to_tensor
from train.keras.model import build_model, get_weights, save_model, set_weights
from train.model.weights import load_weights, save_weights


def compare_models(folder: Path) -> dict[str, Any]:
    parameters = {}
    for name in MODELS:
        spec = model_specification(folder, name)
        model = build_model(spec)
        parameters[name] = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
        set_weights(model, load_weights(folder / f"{name}-torch.npz"))
        of_torch = logits(model, folder, name)
        set_weights(model, large_weights(spec, seed=2))
        save_weights(folder / f"{name}-keras.npz", get_weights(model))
        of_keras = logits(model, folder, name)
        (folder / name).mkdir()
        save_model(model, folder / name)
        training = logits(model, folder, name, training=True)
        np.savez(folder / f"{name}-logits.npz", of_torch=of_torch, of_keras=of_keras, training=training)
        save_weights(folder / f"{name}-after.npz", get_weights(model))
    for recipe, spec in specifications(folder).items():
        model = build_model(spec)
        set_weights(model, load_weights(folder / "cnn-torch.npz"))
        np.save(folder / f"{recipe}-logits.npy", logits(model, folder))
    for name in ANY_SIZE:
        model = build_model(odd_specification(name))
        set_weights(model, large_weights(odd_specification(name), seed=3))
        np.save(folder / f"{name}-odd-logits.npy", model(odd_images()).numpy())
    return {"parameters": parameters}


def logits(model: keras.Model, folder: Path, name: str = "cnn", *, training: bool = False) -> npt.NDArray[np.float32]:
    return as_logits(model(example_inputs(folder, name), training=training)).numpy()


def odd_tensor(first: int) -> bool:
    """Return whether arrays of any alignment become tensors that TensorFlow can compute with."""
    values = np.arange(1000, dtype=np.float32)[first : first + 640].reshape(10, 64)
    tensor = to_tensor(values)
    return bool(np.array_equal((tensor[2:5] + 1).numpy(), values[2:5] + 1))


def hash_feed(path: Path) -> list[str]:
    stream, variables = open_feed(path), random_variables(path)
    return [
        digest(
            tensor.numpy() for steps in Feed(["/CPU:0"], variables)(stream) for tensor in (*steps.inputs, steps.target)
        )
        for _ in range(EPOCHS)
    ]


def train(folder: Path, name: str, *, taught: bool = False, **settings: Any) -> tuple[list[float], list[float]]:
    """Return the loss of each step, and the logits of some images afterwards."""
    config = training_config(folder, name, **({"seed": 1} | settings))
    backend = KerasBackend(model_specification(folder, name), config, weights_of(config))
    if taught:
        backend.teach(targets_of(config))
    start = backend.state_dict()
    drawn = {key.removeprefix("weights/"): value for key, value in start.items() if key.startswith("weights/")}
    save_weights(folder / f"{name}-drawn.npz", drawn)
    given = load_weights(folder / f"{name}-start.npz")
    backend.load_state_dict(start | {f"weights/{key}": value for key, value in given.items()})
    stream, losses = open_feed(config.store, batch_size=8), []
    while len(losses) < STEPS:
        losses += [
            batch_loss(steps, backend.copy_to_host([backend.train(steps, [config.learning_rate])])())
            for steps in backend.feed(stream)
        ]
    return losses, backend.copy_to_host(
        [backend.predict(tuple(map(to_tensor, example_inputs(folder, name))))]
    )().tolist()


def refuse_float16(folder: Path) -> str:
    try:
        train(folder, "cnn-small", precision="float16")
    except ConfigError as error:
        return str(error)
    return "nothing"


def trace_callbacks() -> dict[str, Any]:
    rates, stops = [], []
    for losses in loss_sequences():
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        model.compile(optimizer=keras.optimizers.Adam(1e-3), loss="mse")
        plateau = keras.callbacks.ReduceLROnPlateau(factor=0.5, patience=2, min_delta=1e-4, cooldown=1, min_lr=1e-10)
        stopping = keras.callbacks.EarlyStopping(patience=4)
        for callback in (plateau, stopping):
            callback.set_model(model)
            callback.on_train_begin()
        model.stop_training = False
        for epoch, loss in enumerate(losses):
            for callback in (plateau, stopping):
                callback.on_epoch_end(epoch, {"val_loss": loss})
            rates.append(float(model.optimizer.learning_rate))
            stops.append(bool(model.stop_training))
    return {"rates": rates, "stops": stops}


def report_models(folder: Path) -> dict[str, Any]:
    return {
        **compare_models(folder),
        **trace_callbacks(),
        "feed": hash_feed(store_of(folder)),
        "tensors": [odd_tensor(first) for first in range(20)],
    }


def report_training(folder: Path) -> dict[str, Any]:
    return {
        **{name: train(folder, name)[0] for name in MODELS},
        "everything": train(folder, "shower", **EVERYTHING),
        "bfloat16": train(folder, "cnn-small", precision="bfloat16"),
        "weighted": train(folder, "cnn-small", **WEIGHTED)[0],
        "taught": train(folder, "cnn-small", taught=True, **WEIGHTED)[0],
        "three taught": train(folder, "three-classes", taught=True)[0],
        "compiled": train(folder, "cnn-small", compile=True)[0],
        "float16": refuse_float16(folder),
    }


REPORTS = {"models": report_models, "training": report_training}


def main(folder: str, part: str) -> None:
    report = REPORTS[part](Path(folder))
    Path(folder, f"{part}.json").write_text(json.dumps(report))


if __name__ == "__main__":
    main(*sys.argv[1:])
