"""The side of a trained model in `evaluate score`: blocks of images come over a pipe, their scores go back.

A block is its shape, four little-endian int64, and its values, float32; the answer is one float64 a sample.
"""

import os
import sys
from collections.abc import Callable, Iterator
from io import BufferedReader

import numpy as np
import numpy.typing as npt

from store.console import one_line

Score = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float64]]
BATCH_BYTES = 1 << 22  # what a model is given at once: 512 showers


def serve(load: Callable[[], Score]) -> None:
    """Load a model and answer every block on standard input until it ends; an error is one line and status 1.

    Parameters
    ----------
    load
        Imports the framework, loads the model and returns what gives the probability (batch,) of class 1 for
        float32 (batch, ieta, iphi, channel).
    """
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is no score
    try:
        score = load()
        for images in _blocks(os.fdopen(0, "rb")):
            size = max(1, BATCH_BYTES // images[0].nbytes)
            scores = [score(images[start : start + size]) for start in range(0, len(images), size)]
            answers.write(np.concatenate(scores).astype("<f8").tobytes())
            answers.flush()
    except Exception as error:
        sys.stderr.write(f"error: {one_line(error)}\n")
        sys.exit(1)


def _blocks(stream: BufferedReader) -> Iterator[npt.NDArray[np.float32]]:
    while len(header := stream.read(32)) == 32:
        shape = np.frombuffer(header, "<i8")
        images = np.empty(shape, "<f4")
        if stream.readinto(images.data.cast("B")) < images.nbytes:
            return
        yield images
