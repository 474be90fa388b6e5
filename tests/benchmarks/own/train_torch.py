"""Training in PyTorch."""

from tests.benchmarks.own.training import readers
from train.pytorch.backend import TorchBackend

READERS = readers("PyTorch", TorchBackend)
