"""The program ``train-keras``."""

import os

from store import console
from train.config import TrainConfig
from train.learner import Learner
from train.options import application
from train.specification import Specification


def make_learner(specification: Specification, config: TrainConfig) -> Learner:
    """Import Keras on TensorFlow, without TensorFlow's notes on standard error, and return its learner."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from train.fit_keras import KerasLearner

    return KerasLearner(specification, config)


app = application("keras", make_learner)


def main() -> None:
    """Run the program."""
    console.run(app)


if __name__ == "__main__":
    main()
