"""Score images with a trained Keras model: ``python -m train.keras.score RUN``, images in, scores out."""

import os
import sys
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from train.scoring import ScoreFunction, serve


def load(run: Path) -> ScoreFunction:
    """Return what the model of a run directory gives for images, and variables if it takes any."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras

    import train.keras.model  # noqa: F401  knows how to load the layers that are not Keras' own

    model = keras.models.load_model(run / "model.keras")

    def score(*inputs: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        return np.asarray(model.predict_on_batch(list(inputs)), dtype=np.float64).reshape(-1)

    return score


if __name__ == "__main__":
    serve(partial(load, Path(sys.argv[1])))
