"""The pipes to a process with a trained model, see `store.model_process`: images go in, scores come out.

A block of samples is a header, the images and the variables. The header is five little-endian int64: the shape of the
images, (n, ieta, iphi, channel), and the number of variables per sample. Images and variables are little-endian float32
in C order. The answer to a block is the number of scores per sample, little-endian int64, and the scores, little-endian
float64 in C order: one for two classes, the probability of class 1, and for K > 2 classes K, their probabilities.
"""

import io
from collections.abc import Iterator
from typing import IO

import numpy as np

from store.arrays import Float32Array, Float64Array
from store.descriptions import LARGEST_CLASSES

HEADER_BYTES = 40
ANSWER_HEADER_BYTES = 8


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
    stream.write(np.array(scores.shape[1] if scores.ndim == 2 else 1, "<i8").tobytes())
    stream.write(scores.astype("<f8").tobytes())
    stream.flush()


def receive_scores(stream: IO[bytes], samples: int) -> Float64Array | None:
    """Return the scores of a block, or None if the stream ends too early or holds something else.

    Parameters
    ----------
    stream
        Standard output of the process with the model.
    samples
        Number of samples in the block.

    Returns
    -------
    Float64Array or None
        float64 (samples,) for a model of two classes, float64 (samples, K) for K > 2.
    """
    header = stream.read(ANSWER_HEADER_BYTES)
    if len(header) < ANSWER_HEADER_BYTES:
        return None
    columns = int(np.frombuffer(header, "<i8")[0])
    if not 1 <= columns <= LARGEST_CLASSES:
        return None
    answer = stream.read(8 * samples * columns)
    if len(answer) < 8 * samples * columns:
        return None
    scores = np.frombuffer(answer, "<f8")
    return scores if columns == 1 else scores.reshape(samples, columns)
