"""The pipes between ``evaluate score`` and the process with the trained model: images go in, scores come out.

A block of samples is a header, the images and the variables. The header is five little-endian int64: the shape of the
images, (n, ieta, iphi, channel), and the number of variables per sample. Images and variables are little-endian float32
in C order. The answer to a block is little-endian float64 in C order: the probability of class 1 for each sample, (n,),
or for K > 2 classes the probability of each class, (n, K).
"""

import io
import math
from collections.abc import Iterator
from typing import IO

import numpy as np

from store.arrays import Float32Array, Float64Array

HEADER_BYTES = 40


def send_block(stream: IO[bytes], images: Float32Array, variables: Float32Array) -> None:
    """Send a block to the model.

    Parameters
    ----------
    stream
        Standard input of the process with the model.
    images
        float32 (n, ieta, iphi, channel).
    variables
        float32 (n, variable); (n, 0) for a model that takes images only.
    """
    stream.write(np.array((*images.shape, variables.shape[1]), "<i8").tobytes())
    stream.write(np.ascontiguousarray(images, "<f4").data)
    stream.write(np.ascontiguousarray(variables, "<f4").data)
    stream.flush()


def receive_blocks(stream: io.BufferedIOBase) -> Iterator[list[Float32Array]]:
    """Yield each block as the inputs of the model, until the stream ends; an incomplete block at the end is dropped.

    Parameters
    ----------
    stream
        Standard input of this process.

    Yields
    ------
    list of numpy.ndarray
        Images, float32 (n, ieta, iphi, channel), and, if there are any, variables, float32 (n, variable).
    """
    while len(header := stream.read(HEADER_BYTES)) == HEADER_BYTES:
        *shape, variables = np.frombuffer(header, "<i8").tolist()
        inputs = [np.empty(shape, "<f4")]
        if variables:
            inputs.append(np.empty((shape[0], variables), "<f4"))
        if any(stream.readinto(array.data) < array.nbytes for array in inputs):
            return
        yield inputs


def send_scores(stream: IO[bytes], scores: Float64Array) -> None:
    """Answer a block with its scores, float64 (n,) or, for K > 2 classes, float64 (n, K)."""
    stream.write(scores.astype("<f8").tobytes())
    stream.flush()


def receive_scores(stream: IO[bytes], samples: int, classes: int = 2) -> Float64Array | None:
    """Return the scores of a block, or None if the stream ends too early.

    Parameters
    ----------
    stream
        Standard output of the process with the model.
    samples
        Number of samples in the block.
    classes
        Number of classes of the model.

    Returns
    -------
    Float64Array or None
        float64 (samples,) for two classes, float64 (samples, classes) for more.
    """
    shape = (samples,) if classes == 2 else (samples, classes)
    size = 8 * math.prod(shape)
    answer = stream.read(size)
    return np.frombuffer(answer, "<f8").reshape(shape) if len(answer) == size else None
