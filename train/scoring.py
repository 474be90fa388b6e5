"""The side of a trained model in ``evaluate score``; see `store.score_pipe`."""

import os
import sys
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from store.console import one_line
from store.score_pipe import receive_blocks, send_scores

ScoreFunction = Callable[..., npt.NDArray[np.float64]]
BATCH_BYTES = 1 << 22  # what a model is given at once: 512 showers


def serve(load: Callable[[], ScoreFunction]) -> None:
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
        for block in receive_blocks(os.fdopen(0, "rb")):
            size = max(1, BATCH_BYTES // block[0][0].nbytes)
            parts = [slice(start, start + size) for start in range(0, len(block[0]), size)]
            scores = [score(*(inputs[part] for inputs in block)) for part in parts]
            send_scores(answers, np.concatenate(scores))
    except Exception as error:
        sys.stdout.flush()  # what else was said comes before the error, which is the last line
        sys.stderr.write(f"error: {one_line(error)}\n")
        sys.exit(1)
