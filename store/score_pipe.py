"""The pipe between ``evaluate score`` and the process that holds a trained model: images one way, scores the other.

A block is a header of five little-endian int64 (shape of its images, number of variables), the images and then the
variables, both float32 and C-contiguous. The answer to it is one little-endian float64 per sample.
"""

from collections.abc import Iterator
from typing import IO

import numpy as np

from store.arrays import Float32Array, Float64Array

HEADER_BYTES = 40


def send_block(stream: IO[bytes], images: Float32Array, variables: Float32Array) -> None:
    """Write images, float32 (n, ieta, iphi, channel), and variables, float32 (n, variable)."""
    stream.write(np.array((*images.shape, variables.shape[1]), "<i8").tobytes())
    stream.write(np.ascontiguousarray(images, "<f4").data)
    stream.write(np.ascontiguousarray(variables, "<f4").tobytes())
    stream.flush()


def receive_blocks(stream: IO[bytes]) -> Iterator[list[Float32Array]]:
    """Yield ``[images]``, or ``[images, variables]`` if there are any, until the stream ends."""
    while len(header := stream.read(HEADER_BYTES)) == HEADER_BYTES:
        *shape, variables = np.frombuffer(header, "<i8").tolist()
        block = [np.empty(shape, "<f4"), *([np.empty((shape[0], variables), "<f4")] if variables else [])]
        if any(stream.readinto(inputs.data.cast("B")) < inputs.nbytes for inputs in block):  # type: ignore[attr-defined]
            return
        yield block


def send_scores(stream: IO[bytes], scores: Float64Array) -> None:
    """Write the scores of a block, float64 (n,)."""
    stream.write(scores.astype("<f8").tobytes())
    stream.flush()


def receive_scores(stream: IO[bytes], samples: int) -> Float64Array | None:
    """Return the scores of a block, float64 (samples,), or None if the stream ends before that."""
    answer = stream.read(8 * samples)
    return np.frombuffer(answer, "<f8") if len(answer) == 8 * samples else None
