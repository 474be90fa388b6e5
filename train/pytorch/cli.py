"""The program ``train-torch``."""

import os

from store import console
from train.backend import Backend
from train.config import TrainConfig
from train.model.specification import Specification
from train.options import application


def make_backend(specification: Specification, config: TrainConfig) -> Backend:
    """Import PyTorch and return its backend."""
    # Threads that spin while they wait take the processor from those that decode, and from everybody else.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from train.pytorch.backend import TorchBackend

    return TorchBackend(specification, config)


app = application("torch", make_backend)


def main() -> None:
    """Run the program."""
    console.run(app)


if __name__ == "__main__":
    main()
