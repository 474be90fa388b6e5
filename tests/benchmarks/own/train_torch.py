"""Training in PyTorch."""

from tests.benchmarks.own.training import readers
from train.fit_torch import TorchLearner

READERS = readers("PyTorch", TorchLearner)
