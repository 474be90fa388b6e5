"""How fast Keras' ``fit`` is on TensorFlow with a `calostream.keras.Dataset`, with arrays in memory, and at most.

``python -m tests.benchmarks.keras_fit STORE [BATCH]`` trains the smallest model in four interleaved rounds, and prints
the median of images per second. "one batch again" gives the same tensors at each step: ``fit`` cannot be faster.
"""

import os
import sys
import time
from collections.abc import Callable
from itertools import islice
from statistics import median

os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np
import tensorflow as tf

from calostream.keras import Dataset
from store.stream import BatchStream

ROUNDS, IN_MEMORY = 4, 40_000


def main(store: str, batch_size: int = 512) -> None:
    def stream() -> BatchStream:
        return BatchStream(store, split="train", batch_size=batch_size)

    bare, dataset = stream(), Dataset(stream())
    first = [(batch.image.copy(), batch.label) for batch in islice(stream(), IN_MEMORY // batch_size)]
    image, label = (np.concatenate(parts) for parts in zip(*first, strict=True))
    one_batch = tf.data.Dataset.from_tensors((image[:batch_size], label[:batch_size])).repeat(len(dataset))
    model = keras.Sequential(
        [keras.Input(image.shape[1:]), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(1)]
    )
    model.compile("sgd", keras.losses.BinaryCrossentropy(from_logits=True))
    samples = len(dataset) * batch_size
    ways: dict[str, tuple[int, Callable[[], object]]] = {
        "stream, without fit": (samples, lambda: sum(1 for _ in bare)),
        "fit, one batch again": (samples, lambda: model.fit(one_batch, verbose=0)),
        "fit, Dataset": (samples, lambda: model.fit(dataset, verbose=0)),
        "fit, arrays in memory": (len(image), lambda: model.fit(image, label, batch_size=batch_size, verbose=0)),
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, (count, run) in ways.items():
            began = time.perf_counter()
            run()
            rates[name].append(count / (time.perf_counter() - began))
    for name, measured in rates.items():
        print(f"{name:24}{median(measured):12,.0f} images/s")


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
