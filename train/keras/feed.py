"""From the batch stream to TensorFlow tensors."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from store.stream import Batch
from train.variables import Table, inputs

ALIGNMENT = 64  # bytes; TensorFlow's kernels abort on memory that starts elsewhere


def feed(
    stream: Iterable[Batch], device: str, table: Table | None = None
) -> Iterator[tuple[Batch, tuple[tf.Tensor, ...], tf.Tensor]]:
    """Yield every batch with the images (batch, ieta, iphi, channel) and variables of `inputs`, and labels (batch,).

    On the CPU the images are the batch's own memory. A GPU copies from there.
    """
    for batch in stream:
        tensors, label = tuple(map(to_tensor, inputs(batch, table))), to_tensor(batch.label)
        if "CPU" not in device:
            with tf.device(device):
                tensors, label = tuple(map(tf.identity, tensors)), tf.identity(label)
        yield batch, tensors, label


def to_tensor(array: npt.NDArray[Any]) -> tf.Tensor:
    """Return a tensor of an array: its own memory, or a copy's where that does not start as TensorFlow needs it.

    This is DLPack, since ``tf.convert_to_tensor`` always copies, and takes longer over a few labels than this does.
    """
    if array.ctypes.data % ALIGNMENT:
        memory = np.empty(array.nbytes + ALIGNMENT, np.uint8)
        start = -memory.ctypes.data % ALIGNMENT
        aligned = memory[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
        aligned[...] = array
        array = aligned
    return tf.experimental.dlpack.from_dlpack(array.__dlpack__())
