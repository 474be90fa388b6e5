"""The process that holds a trained model and answers `store.model_process`; see `store.score_pipe`."""

import os
import sys
from collections.abc import Callable

import numpy as np

from store.arrays import Float64Array
from store.console import one_line
from store.score_pipe import receive_blocks, send_scores

ScoreFunction = Callable[..., Float64Array]
"""Returns the probability (batch,) of class 1, or the probabilities (batch, K) of K > 2 classes, for images, float32
(batch, ieta, iphi, channel), and, if the model takes any, variables, float32 (batch, variable)."""
BATCH_BYTES = 1 << 22  # size of the images in a batch; 512 showers


def serve(load: Callable[[], ScoreFunction]) -> None:
    """Load a model and answer each block on standard input with its scores on standard output, until the input ends.

    After an error, the last line on standard error describes it, and the exit status is 1.

    Parameters
    ----------
    load
        Imports the framework, loads the model and returns its scoring function.
    """
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # libraries that print must not mix their output with the scores
    try:
        score = load()
        for block in receive_blocks(os.fdopen(0, "rb")):
            size = max(1, BATCH_BYTES // block[0][0].nbytes)
            parts = [slice(start, start + size) for start in range(0, len(block[0]), size)]
            scores = [score(*(inputs[part] for inputs in block)) for part in parts]
            send_scores(answers, np.concatenate(scores))
    except Exception as error:
        sys.stdout.flush()  # so that the error is the last line
        sys.stderr.write(f"error: {one_line(error)}\n")
        sys.exit(1)
