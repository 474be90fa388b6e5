"""The program ``train-keras``."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from store import console
from store.extras import require
from train.options import application

if TYPE_CHECKING:
    from store.arrays import Float32Array
    from train.backend import Backend
    from train.config import TrainConfig
    from train.model.specification import Specification


def make_backend(specification: "Specification", config: "TrainConfig", weights: "Float32Array | None") -> "Backend":
    """Import Keras on TensorFlow and return its backend."""
    from train.progress import announce

    require("keras", "keras", "tensorflow")
    announce("loading TensorFlow …")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with muted():
        from train.keras.backend import KerasBackend

    return KerasBackend(specification, config, weights)


@contextmanager
def muted() -> Iterator[None]:
    """Discard what is written to standard error; exceptions still propagate.

    TensorFlow 2.21 writes notes to it while it is imported, whatever TF_CPP_MIN_LOG_LEVEL says
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
    """Run ``train-keras``."""
    console.run(app)


if __name__ == "__main__":
    main()
