"""The program ``train-torch``."""

import os

from store import console
from train.config import TrainConfig
from train.learner import Learner
from train.options import application
from train.specification import Specification


def make_learner(specification: Specification, config: TrainConfig) -> Learner:
    """Import PyTorch and return its learner."""
    # Threads that spin while they wait take the processor from those that decode, and from everybody else.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from train.fit_torch import TorchLearner

    return TorchLearner(specification, config)


app = application("torch", make_learner)


def main() -> None:
    """Run the program."""
    console.run(app)


if __name__ == "__main__":
    main()
