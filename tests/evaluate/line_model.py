"""Replaces `train.pytorch.score` without a framework: scores rise with energy or time; it fails on request."""

import os
import signal
import sys
from pathlib import Path

import numpy as np

from store.errors import RunError
from train.scoring import ScoreFunction, serve


def load() -> ScoreFunction:
    behaviour = Path(sys.argv[1], "model.txt").read_text()
    if behaviour == "broken":
        raise RunError("no model here")
    print("a library says hello")

    def score(image):
        if behaviour == "dies":
            sys.exit(3)
        if behaviour == "is killed":
            print("about to die", flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        if behaviour == "raises":
            raise ValueError("no such\nlayer")
        if behaviour == "nan":
            return np.full(len(image), np.nan)
        if behaviour == "three classes":
            return np.full((len(image), 3), [0.25, 0.5, 0.25])
        if behaviour == "time":
            return 1 / (1 + np.exp(-5 * image[..., 1].sum(axis=(1, 2), dtype=np.float64)))
        return 1 - np.exp(-image[..., 0].sum(axis=(1, 2), dtype=np.float64) / 50)

    return score


serve(load)
