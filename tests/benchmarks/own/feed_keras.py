"""The Keras feed on the CPU, and other ways from numpy batches to TensorFlow that it could have been."""

from collections.abc import Callable, Iterator

import tensorflow as tf

from store.stream import BatchStream
from tests.benchmarks.reader import Place, Reader
from train.feed_keras import feed

Tensors = Iterator[tf.Tensor]


def by_feed(stream: BatchStream) -> Tensors:
    return (image for _, image, _ in feed(stream, "/CPU:0"))


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


READERS = {
    "ours, Keras feed": Reader(open=opening(by_feed), shuffling="all images, 2 threads", full=True),
    "ours, TensorFlow by DLPack": Reader(open=opening(by_dlpack), shuffling="all images, 2 threads", full=True),
    "ours, tf.data from_generator": Reader(open=opening(by_generator), shuffling="all images, 2 threads", full=True),
}
