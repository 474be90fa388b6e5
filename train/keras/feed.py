"""From the batch stream to TensorFlow tensors."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from store.arrays import Float32Array
from store.stream import Batch
from train.variables import model_inputs
from train.weighting import model_targets

Inputs = tuple[tf.Tensor, ...]
Target = Any
"""Labels (batch,), or a tuple of labels and weights."""
ALIGNMENT = 64  # bytes; TensorFlow's kernels abort on memory that starts at another address


def feed(
    stream: Iterable[Batch],
    device: str,
    variables: Float32Array | None = None,
    weights: Float32Array | None = None,
) -> Iterator[tuple[Batch, Inputs, Target]]:
    """Yield each batch with the model's inputs and the labels (batch,) as tensors on the device.

    The inputs are those of `train.variables.model_inputs`: images (batch, ieta, iphi, channel), and variables
    (batch, variable) if `variables` holds those of the whole store. If `weights` holds the weights of all its samples,
    the labels come in a tuple with the weights (batch,).

    On the CPU the tensors share the batch's memory; for a GPU they are copied to its memory.
    """
    for batch in stream:
        inputs = tuple(map(to_tensor, model_inputs(batch, variables)))
        target = tuple(map(to_tensor, model_targets(batch, weights)))
        if "CPU" not in device:
            with tf.device(device):
                inputs, target = tuple(map(tf.identity, inputs)), tuple(map(tf.identity, target))
        yield batch, inputs, target if target[1:] else target[0]


def to_tensor(array: npt.NDArray[Any]) -> tf.Tensor:
    """Return a tensor that shares the array's memory, or that of an aligned copy if the array is not aligned.

    The tensor is made through DLPack, because ``tf.convert_to_tensor`` always copies, and is slower even for a few
    labels.
    """
    if array.ctypes.data % ALIGNMENT:
        memory = np.empty(array.nbytes + ALIGNMENT, np.uint8)
        start = -memory.ctypes.data % ALIGNMENT
        aligned = memory[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
        aligned[...] = array
        array = aligned
    return tf.experimental.dlpack.from_dlpack(array.__dlpack__())
