"""From the batch stream to TensorFlow tensors."""

from collections.abc import Iterable, Iterator

import tensorflow as tf

from store.stream import Batch


def feed(stream: Iterable[Batch], device: str) -> Iterator[tuple[Batch, tf.Tensor, tf.Tensor]]:
    """Yield every batch with its image (batch, ieta, iphi, channel) and label (batch,) on the device.

    TensorFlow copies on its own threads; on the CPU it takes over the batch's own memory where that is aligned.
    """
    for batch in stream:
        with tf.device(device):
            image, label = tf.convert_to_tensor(batch.image), tf.convert_to_tensor(batch.label)
        yield batch, image, label
