"""The program ``train-keras``."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from store import console
from train.backend import Backend
from train.config import TrainConfig
from train.model.specification import Specification
from train.options import application


def make_backend(specification: Specification, config: TrainConfig) -> Backend:
    """Import Keras on TensorFlow and return its backend."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with muted():
        from train.keras.backend import KerasBackend

    return KerasBackend(specification, config)


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


app = application("keras", make_backend)


def main() -> None:
    """Run the program."""
    console.run(app)


if __name__ == "__main__":
    main()
