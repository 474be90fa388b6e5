"""Score images with a trained Keras model, for ``evaluate score``: ``python -m train.keras.score RUN``."""

import os
import sys
from functools import partial
from pathlib import Path

import numpy as np

from store.arrays import Float32Array, Float64Array
from store.extras import require
from train.scoring import ScoreFunction, serve


def load(run: Path) -> ScoreFunction:
    """Return the scoring function of the model in a run directory."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    require("keras", "keras", "tensorflow")
    import tensorflow as tf

    from train.keras.model import load_model

    tf.config.experimental.enable_tensor_float_32_execution(False)

    model = load_model(run)

    def score(*inputs: Float32Array) -> Float64Array:
        scores = np.asarray(model.predict_on_batch(list(inputs)), dtype=np.float64)
        return scores[:, 0] if scores.shape[1] == 1 else scores

    return score


if __name__ == "__main__":
    serve(partial(load, Path(sys.argv[1])))
