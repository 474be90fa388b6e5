"""Feeds and calls of several steps in Keras, on one device: ``python -m tests.train.keras.feed_side STORE``."""

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from store.errors import ConfigError
from store.opening import open_store
from store.sparse import SparseImages
from store.stream import BatchStream
from tests.train.keras.device_side import NOISY, make
from train.augmentation import Augmentation
from train.config import TrainConfig
from train.keras import resident
from train.keras.backend import KerasBackend
from train.keras.feed import Feed
from train.resident import ResidentSplit, reading_stream
from train.run import open_stream

Array = np.ndarray[Any, Any]
SETTINGS: dict[str, Any] = {"batch_size": 35, "learning_rate": 0.01, "ema_decay": 0.9, "augmentation": "flips"}


def open_training(path: str) -> BatchStream:
    store = open_store(path)
    config = TrainConfig(run=Path("unused"), store=store.path, batch_size=35)
    return open_stream(config, "train", "full", (0, 1), Augmentation(name="flips", spec=store.spec, seed=0))


def read(stream: BatchStream) -> ResidentSplit:
    return ResidentSplit.read(stream.plan, reading_stream(stream, 1 << 24, 2))


def backend_with(path: str, kind: str, together: int | None) -> KerasBackend:
    """Return a backend with a feed of a kind that gives so many batches together."""
    backend = make(NOISY, open_store(path), **SETTINGS)
    backend._feed = Feed(backend._feed._devices, together=together)
    if kind == "resident":
        backend.hold("train", read(open_training(path)))
    return backend


def train(backend: KerasBackend, stream: BatchStream, batches: int | None = None) -> tuple[Array, list[int]]:
    """Return the logits of an epoch, or of its first batches, and the number of batches of each call."""
    logits, counts, taken = [], [], stream.state_dict()["batch"]
    steps = backend.feed(stream)
    for step in steps:
        rates = [0.01 / (taken + index + 1) for index in range(step.count)]
        logits.append(backend.train(step, rates))
        counts.append(step.count)
        taken += step.count
        if batches is not None and taken >= batches:
            break
    return backend.copy_to_host(logits)(), counts


def same(one: dict[str, Array], two: dict[str, Array]) -> bool:
    return one.keys() == two.keys() and all(one[name].tobytes() == two[name].tobytes() for name in one)


def compare(path: str) -> dict[str, Any]:
    """Compare ways to train two epochs with one batch per call from the stream."""
    plain, stream = backend_with(path, "stream", None), open_training(path)
    expected, counts = zip(*(train(plain, stream) for _ in range(2)), strict=True)
    report: dict[str, Any] = {"plain": counts[0]}
    for kind, together in (("stream", 3), ("stream", 7), ("resident", 1), ("resident", 4)):
        backend, stream = backend_with(path, kind, together), open_training(path)
        logits, counts = zip(*(train(backend, stream) for _ in range(2)), strict=True)
        report[f"{kind} {together}"] = {
            "logits": all(one.tobytes() == two.tobytes() for one, two in zip(logits, expected, strict=True)),
            "state": same(backend.state_dict(), plain.state_dict()),
            "counts": counts[0],
        }
    return report | {"resumed": resume_with_the_other_feed(path, plain)}


def resume_with_the_other_feed(path: str, plain: KerasBackend) -> bool:
    """Return whether a training that goes on from the other feed after 4 batches ends like an uninterrupted one."""
    first, stream = backend_with(path, "stream", 2), open_training(path)
    train(first, stream, batches=4)
    position = {**open_training(path).state_dict(), "batch": 4}
    second, stream = backend_with(path, "resident", 3), open_training(path)
    second.load_state_dict(first.state_dict())
    stream.load_state_dict(position)
    train(second, stream)
    train(second, stream)
    return same(second.state_dict(), plain.state_dict())


def odd_values(path: str) -> bool:
    """Return whether -0.0, NaN, the last cell and images without hits are expanded bit for bit, eagerly and by XLA."""
    images = np.zeros((5, 3, 4, 2), np.float32)
    images[1, 0, 0, 0], images[1, 2, 3, 1], images[3, 1, 2, 0] = -0.0, np.nan, 1e-42
    sparse = SparseImages.of(images)
    empty = np.empty((1, 0), np.float32)
    for rows in (np.array([3, 0, 1, 4, 1, 2]), np.array([0, 2, 4]), np.array([4, 3])):
        begin = 7 + np.cumsum([0, *np.diff(sparse.offset)[rows]])
        for excess in (0, 3):
            number = np.arange(max(1, begin[-1] - begin[0] + excess))
            arrays = resident.pack(sparse), sparse.offset, np.empty(0, np.int64), empty, number
            held = resident.Held(*map(tf.constant, arrays))
            for compiled in (False, True):
                function = tf.function(partial(resident.expand, held, (3, 4, 2)), jit_compile=compiled)
                (image,) = function(tf.constant(rows), tf.constant(begin[:-1]))
                if image.numpy().tobytes() != images[rows].tobytes():
                    return False
    return True


def same_tensors(path: str) -> bool:
    """Return whether both feeds give the same images, variables, labels, weights and targets, with augmentation."""
    samples = open_store(path).image.shape[0]
    random = np.random.default_rng(0)
    variables = random.normal(size=(samples, 3)).astype(np.float32)
    weights = random.normal(size=samples).astype(np.float32)
    targets = random.random((samples, 3), np.float32)
    streamed, held = (Feed(["/CPU:0"], variables, weights, together=2) for _ in range(2))
    for feed in (streamed, held):
        feed.teach(targets)
    streams = open_training(path), open_training(path)
    held.hold("train", read(streams[1]))
    for _ in range(2):
        for one, two in zip(streamed(streams[0]), held(streams[1]), strict=True):
            parts, (images,) = resident.split_inputs(two.inputs)
            inputs = resident.expand(images, (32, 32, 2), *parts)
            pairs = zip((*one.inputs, *one.target), (*inputs, *two.target), strict=True)
            if any(first.numpy().tobytes() != second.numpy().tobytes() for first, second in pairs):
                return False
            if not np.array_equal(one.sample, two.sample) or not np.array_equal(one.label, two.label):
                return False
    return True


def values_read(path: str) -> int:
    """Return how many values of tensors Python reads in a few calls of a training."""
    from tensorflow.python.framework.ops import _EagerTensorBase

    backend, stream = backend_with(path, "resident", 2), open_training(path)
    steps, read = backend.feed(stream), 0
    backend.train(first := next(steps), [0.01] * first.count)  # reads constants while it is traced

    def counted(name: str) -> Any:
        kept = getattr(_EagerTensorBase, name)

        def call(*arguments: Any, **keywords: Any) -> Any:
            nonlocal read
            read += 1
            return kept(*arguments, **keywords)

        return kept, call

    names = ("numpy", "__array__", "__int__", "__float__", "__bool__", "__index__")
    kept = {name: counted(name) for name in names}
    for name, (_, call) in kept.items():
        setattr(_EagerTensorBase, name, call)
    for step in steps:
        logit = backend.train(step, [0.01] * step.count)
    in_training = read
    logit.numpy()
    assert read > in_training, "reading is counted"
    for name, (original, _) in kept.items():
        setattr(_EagerTensorBase, name, original)
    return in_training


def refuse_sparse(path: str) -> str:
    try:
        Feed(["/CPU:0"])(BatchStream(path, split="train", batch_size=35, sparse=True))
    except ConfigError as error:
        return str(error)
    return "nothing"


def main(path: str) -> None:
    report = {**compare(path), "odd": odd_values(path), "tensors": same_tensors(path), "read": values_read(path)}
    print(json.dumps({**report, "sparse": refuse_sparse(path)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
