"""The program ``train-keras``."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from store import console
from train.config import TrainConfig
from train.learner import Learner
from train.options import application
from train.specification import Specification


def make_learner(specification: Specification, config: TrainConfig) -> Learner:
    """Import Keras on TensorFlow and return its learner."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with muted():
        from train.fit_keras import KerasLearner

    return KerasLearner(specification, config)


@contextmanager
def muted() -> Iterator[None]:
    """Drop what is written to standard error; exceptions still come through.

    TensorFlow 2.21 writes notes there while it is imported, whatever TF_CPP_MIN_LOG_LEVEL says
    (https://github.com/tensorflow/tensorflow/issues/100442).
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


app = application("keras", make_learner)


def main() -> None:
    """Run the program."""
    console.run(app)


if __name__ == "__main__":
    main()
