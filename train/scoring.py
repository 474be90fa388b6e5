"""The side of a trained model in `evaluate score`: blocks of images come over a pipe, their scores go back.

A block is the shape of its images and the number of variables (five little-endian int64), then the values of the images
and those of the variables (float32); the answer is one float64 a sample.
"""

import os
import sys
from collections.abc import Callable, Iterator
from io import BufferedReader

import numpy as np
import numpy.typing as npt

from store.console import one_line

Score = Callable[..., npt.NDArray[np.float64]]
BATCH_BYTES = 1 << 22  # what a model is given at once: 512 showers


def serve(load: Callable[[], Score]) -> None:
    """Load a model and answer every block on standard input until it ends; an error is one line and status 1.

    Parameters
    ----------
    load
        Imports the framework, loads the model and returns what gives the probability (batch,) of class 1 for images,
        float32 (batch, ieta, iphi, channel), and if the model takes any, for variables, float32 (batch, variable).
    """
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is no score
    try:
        score = load()
        for block in _blocks(os.fdopen(0, "rb")):
            size = max(1, BATCH_BYTES // block[0][0].nbytes)
            parts = [slice(start, start + size) for start in range(0, len(block[0]), size)]
            scores = [score(*(inputs[part] for inputs in block)) for part in parts]
            answers.write(np.concatenate(scores).astype("<f8").tobytes())
            answers.flush()
    except Exception as error:
        sys.stdout.flush()  # what else was said comes before the error, which is the last line
        sys.stderr.write(f"error: {one_line(error)}\n")
        sys.exit(1)


def _blocks(stream: BufferedReader) -> Iterator[list[npt.NDArray[np.float32]]]:
    while len(header := stream.read(40)) == 40:
        *shape, variables = np.frombuffer(header, "<i8").tolist()
        block = [np.empty(shape, "<f4"), *([np.empty((shape[0], variables), "<f4")] if variables else [])]
        if any(stream.readinto(inputs.data.cast("B")) < inputs.nbytes for inputs in block):
            return
        yield block
