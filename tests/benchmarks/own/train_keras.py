"""Training in Keras."""

from tests.benchmarks.own.training import readers
from train.keras.backend import KerasBackend

READERS = readers("Keras", KerasBackend)
