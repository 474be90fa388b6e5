"""Training in Keras."""

from tests.benchmarks.own.training import readers
from train.fit_keras import KerasLearner

READERS = readers("Keras", KerasLearner)
