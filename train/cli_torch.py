"""The program ``train-torch``."""

from store import console
from train.config import TrainConfig
from train.learner import Learner
from train.options import application
from train.specification import Specification


def make_learner(specification: Specification, config: TrainConfig) -> Learner:
    """Import PyTorch and return its learner."""
    from train.fit_torch import TorchLearner

    return TorchLearner(specification, config)


app = application("torch", make_learner)


def main() -> None:
    """Run the program."""
    console.run(app)


if __name__ == "__main__":
    main()
