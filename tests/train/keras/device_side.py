"""Keras on three logical devices of the CPU: ``python -m tests.train.keras.device_side STORE`` prints JSON."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from store.errors import ConfigError
from store.opening import Store, open_statistics, open_store
from store.stream import Batch
from train.backend import Steps
from train.config import TrainConfig
from train.keras import backend as keras_backend
from train.keras.backend import KerasBackend
from train.model.architecture import Architecture
from train.model.graph import Residual
from train.model.layers import BatchNorm, Conv, Dense
from train.model.normalisation import Normalisation
from train.model.specification import Specification
from train.model.stateless_layers import Dropout, Flatten, MaxPool
from train.resident import ResidentSplit, reading_stream
from train.run import open_stream

END = (MaxPool(size=8), Flatten(), Dense(units=1, activation="linear"))
PLAIN = Architecture(name="plain", source="tests", layers=(Conv(filters=4), *END), initialiser="he")
NOISY = Architecture(
    name="noisy",
    source="tests",
    layers=(Conv(filters=4, activation="linear"), BatchNorm(activation="relu"), Dropout(rate=0.5), *END),
    initialiser="he",
).with_outputs(3)  # as if there were a third class, without samples
NESTED = Architecture(
    name="nested",
    source="tests",
    layers=(Residual(body=(Conv(filters=2), Dropout(rate=0.5))), *END),
    initialiser="he",
)
# The gradient norms of some batches are above the clipping bound, those of others below.
STEP = {"learning_rate": 1e-12, "clip_norm": 8.5, "class_weights": (1.0, 3.0), "ema_decay": 0.9}
Array = np.ndarray[Any, Any]


def make(architecture: Architecture, store: Store, **settings: Any) -> KerasBackend:
    specification = Specification(
        architecture=architecture,
        normalisation=Normalisation.from_statistics("log", open_statistics(store.path)),
        image_shape=(32, 32, 2),
    )
    chosen = {"precision": "float32"} | settings
    return KerasBackend(specification, TrainConfig(run=Path("unused"), store=store.path, **chosen))


def batches(store: Store, size: int) -> list[tuple[Array, Array]]:
    config = TrainConfig(run=Path("unused"), store=store.path, batch_size=size)
    return [(batch.image.copy(), batch.label.copy()) for batch in open_stream(config, "train", "full", (0, 1))]


def train(backend: KerasBackend, steps: list[tuple[Array, Array]], rate: float = TrainConfig.learning_rate) -> Array:
    """Return the logits of some steps, concatenated."""
    logits = []
    for image, label in steps:
        batch = Batch(image, label, np.arange(len(label)))
        step = Steps.of_batch(batch, (tf.constant(image),), tf.constant(label))
        logits.append(backend.copy_to_host([backend.train(step, [rate])])())
    return np.concatenate(logits)


def difference(one: dict[str, Array], two: dict[str, Array]) -> float:
    """Return the largest difference between arrays, relative to the largest value of each."""
    assert one.keys() == two.keys()
    return max(float(np.abs(one[name] - two[name]).max() / max(np.abs(one[name]).max(), 1e-30)) for name in one)


def compare_with_one_device(store: Store) -> dict[str, float]:
    """Train for an epoch on one device and on three; the last batch has two samples, fewer than there are devices.

    The weights hardly change, so that the optimiser's moments depend on the gradients of all batches alone.
    """
    steps = batches(store, 34)
    three = make(PLAIN, store, **STEP)
    keras_backend.choose_devices, choose = lambda config: choose(config)[:1], keras_backend.choose_devices
    one = make(PLAIN, store, **STEP)
    keras_backend.choose_devices = choose
    logits = [train(backend, steps, STEP["learning_rate"]) for backend in (one, three)]
    states = [backend.state_dict() for backend in (one, three)]
    moments = [{key: state[key] for key in state if key.startswith("optimiser/")} for state in states]
    scores = [backend.copy_to_host([backend.predict((tf.constant(steps[0][0]),))])() for backend in (one, three)]
    return {
        "last": len(steps[-1][0]),
        "logits": float(np.abs(logits[0] - logits[1]).max()),
        "moments": difference(*moments),
        "scores": float(np.abs(scores[0] - scores[1]).max()),
    }


def train_resident(store: Store) -> bool:
    """Return whether three devices train alike, bit for bit, from a stream and from images that each of them holds."""
    config = TrainConfig(run=Path("unused"), store=store.path, batch_size=34)
    streamed, held = (make(PLAIN, store, **STEP) for _ in range(2))
    first = open_stream(config, "train", "full", (0, 1))
    held.hold("train", ResidentSplit.read(first.plan, reading_stream(first, 1 << 24, 2)))
    for backend in (streamed, held):
        for step in backend.feed(open_stream(config, "train", "full", (0, 1))):
            backend.train(step, [0.01] * step.count)
    return difference(streamed.state_dict(), held.state_dict()) == 0


def compare_with_resumed(store: Store) -> bool:
    """Return whether a backend that loads the state of another one continues like it, bit for bit."""
    steps = batches(store, 50)
    whole, resumed = (make(NOISY, store, ema_decay=0.9, learning_rate=0.01) for _ in range(2))
    train(whole, steps[:2], rate=0.01)
    resumed.load_state_dict(whole.state_dict())
    same = np.array_equal(train(whole, steps[2:], rate=0.01), train(resumed, steps[2:], rate=0.01))
    return same and difference(whole.state_dict(), resumed.state_dict()) == 0


def logits_of_one_image(store: Store) -> list[list[float]]:
    """Return the logits of the same image on each device; they differ by dropout."""
    image, label = batches(store, 1)[0]
    return train(make(NOISY, store), [(np.repeat(image, 3, axis=0), np.repeat(label, 3))]).tolist()


def finite_after_one_sample(store: Store) -> bool:
    backend = make(NOISY, store)
    train(backend, batches(store, 1)[:1])
    return all(np.isfinite(array).all() for array in backend.state_dict().values())


def device_placement(store: Store) -> dict[str, list[str]]:
    """Return the devices that compute the convolutions and their gradients in a step."""
    batch = tf.TensorSpec((None, 32, 32, 2)), tf.TensorSpec((None,), tf.uint8)
    rates = tf.TensorSpec((None,))
    operations = make(PLAIN, store)._train.get_concrete_function(batch, rates, (), 3, False).graph.get_operations()
    kinds = ("Conv2D", "Conv2DBackpropFilter")
    return {kind: sorted({op.device for op in operations if op.type == kind}) for kind in kinds}


def names_in_a_checkpoint(store: Store) -> list[str]:
    return [name for name in make(NESTED, store).state_dict() if name.startswith(("weights/residual1", "random/"))]


def refusal(store: Store, **settings: Any) -> str:
    try:
        make(PLAIN, store, **settings)
    except ConfigError as error:
        return str(error)
    return "nothing"


def main(path: str) -> None:
    (processor,) = tf.config.list_physical_devices("CPU")
    tf.config.set_visible_devices([], "GPU")
    tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * 3)
    store = open_store(path)
    report = {
        "device": make(PLAIN, store).device,
        "one device": make(PLAIN, store, compile=True).device,
        "placement": device_placement(store),
        "difference": compare_with_one_device(store),
        "resumed": compare_with_resumed(store),
        "resident": train_resident(store),
        "logits": logits_of_one_image(store),
        "finite": finite_after_one_sample(store),
        "names": names_in_a_checkpoint(store),
        "cuda": refusal(store, device="cuda"),
    }
    os.environ["WORLD_SIZE"] = "2"
    print(json.dumps({**report, "ranks": refusal(store)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
