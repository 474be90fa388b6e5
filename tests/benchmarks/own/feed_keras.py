"""The Keras feed on the CPU, the bare stream in the same process, and other ways to hand batches to TensorFlow."""

from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from store.stream import BatchStream
from tests.benchmarks.reader import Place, Reader
from train.keras.feed import Feed

Tensors = Iterator[Any]


def by_feed(stream: BatchStream) -> Tensors:
    return (steps.inputs[0] for steps in Feed(["/CPU:0"])(stream))


def bare(stream: BatchStream) -> Tensors:
    return (batch.image for batch in stream)


def by_convert(stream: BatchStream) -> Tensors:
    return (tf.convert_to_tensor(batch.image) for batch in stream)


def by_dlpack(stream: BatchStream) -> Tensors:
    return (tf.experimental.dlpack.from_dlpack(batch.image.__dlpack__()) for batch in stream)


def by_generator(stream: BatchStream) -> Tensors:
    spec = tf.TensorSpec((None, *stream.image_shape), tf.float32)
    batches = tf.data.Dataset.from_generator(lambda: (batch.image for batch in stream), output_signature=spec)
    return iter(batches.prefetch(tf.data.AUTOTUNE))


def opening(convert: Callable[[BatchStream], Tensors]) -> Callable[[Place], Callable[[int], Tensors]]:
    def open_(place: Place) -> Callable[[int], Tensors]:
        stream = BatchStream(place.store, split="train", batch_size=place.batch)
        return lambda epoch: convert(stream)

    return open_


WAYS = {
    "ours, beside TensorFlow": bare,
    "ours, Keras feed": by_feed,
    "ours, convert_to_tensor": by_convert,
    "ours, from_dlpack": by_dlpack,
    "ours, tf.data from_generator": by_generator,
}
READERS = {
    name: Reader(open=opening(convert), shuffling="all images, 2 threads", full=True) for name, convert in WAYS.items()
}
