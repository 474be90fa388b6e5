"""The exponential moving average (EMA) of the weights."""

import keras
import tensorflow as tf


class AveragedModel:
    """A second model with the exponential moving average (EMA) of a model's weights.

    In step n the decay is at most (1 + n) / (10 + n), and zero in the first one, as in
    ``tf.train.ExponentialMovingAverage``. Otherwise, the EMA after a short training would still be close to the initial
    weights.

    Parameters
    ----------
    model
        The model.
    average
        Another one of the same architecture.
    decay
        Decay per step.

    Attributes
    ----------
    model
        The second model.
    updates
        Number of updates, an int64 variable.
    """

    def __init__(self, model: keras.Model, average: keras.Model, decay: float) -> None:
        self._weights, self.model, self._decay = model.weights, average, decay
        self.updates = tf.Variable(0, dtype=tf.int64)

    def update(self) -> None:
        """Move the average towards the weights of the model, within a ``tf.function``."""
        updates = tf.cast(self.updates, tf.float32)
        decay = tf.where(updates > 0, tf.minimum(self._decay, (1 + updates) / (10 + updates)), 0.0)
        for mean, weight in zip(self.model.weights, self._weights, strict=True):
            if mean.dtype == "float32":
                mean.assign(weight + decay * (mean - weight))
        self.updates.assign_add(1)
