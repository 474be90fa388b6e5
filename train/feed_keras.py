"""From the batch stream to TensorFlow tensors."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy.typing as npt
import tensorflow as tf

from store.stream import Batch

ALIGNMENT = 64  # bytes; TensorFlow's kernels abort on memory that starts elsewhere


def feed(stream: Iterable[Batch], device: str) -> Iterator[tuple[Batch, tf.Tensor, tf.Tensor]]:
    """Yield every batch with its image (batch, ieta, iphi, channel) and label (batch,) on the device.

    On the CPU the image is the batch's own memory. A GPU copies from there.
    """
    for batch in stream:
        image, label = to_tensor(batch.image), tf.convert_to_tensor(batch.label)
        if not device.startswith("/CPU"):
            with tf.device(device):
                image, label = tf.identity(image), tf.identity(label)
        yield batch, image, label


def to_tensor(array: npt.NDArray[Any]) -> tf.Tensor:
    """Return a tensor of an array: its own memory where TensorFlow can take it, else a copy."""
    if array.ctypes.data % ALIGNMENT:
        return tf.convert_to_tensor(array)
    return tf.experimental.dlpack.from_dlpack(array.__dlpack__())
