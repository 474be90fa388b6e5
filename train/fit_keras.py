"""Learning with Keras on TensorFlow."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from store.errors import ConfigError
from store.stream import Batch, BatchStream
from train.config import TrainConfig
from train.feed_keras import feed
from train.model_keras import build_model, get_weights, save_model, set_weights
from train.specification import Specification
from train.weights import initial


class KerasLearner:
    """A `train.learner.Learner` in Keras; `config` gives seed, device and learning rate."""

    def __init__(self, specification: Specification, config: TrainConfig) -> None:
        self._device = choose_device(config.device)
        self.device = self._device.name.removeprefix("/physical_device:").lower()
        keras.utils.set_random_seed(config.seed)
        self._model = build_model(specification)
        set_weights(self._model, initial(specification.architecture, specification.image_shape, config.seed))
        self._optimiser = keras.optimizers.Adam(config.learning_rate, beta_1=0.9, beta_2=0.999, epsilon=1e-7)
        self._optimiser.build(self._model.trainable_variables)
        image = tf.TensorSpec((None, *specification.image_shape), tf.float32)
        self._train = tf.function(self._step, input_signature=[image, tf.TensorSpec((None,), tf.uint8)])
        self._predict = tf.function(lambda image: self._model(image, training=False)[:, 0], input_signature=[image])

    def feed(self, stream: BatchStream) -> Iterator[tuple[Batch, tf.Tensor, tf.Tensor]]:
        """Yield each batch of an epoch with its image and label as tensors on the device."""
        return feed(stream, f"/{self._device.device_type}:0")

    def train(self, image: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
        """Take one step of the optimiser; return the logits (batch,) that it was computed from, on the device."""
        return self._train(image, label)

    def _step(self, image: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            logit = self._model(image, training=True)[:, 0]
            losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=tf.cast(label, logit.dtype), logits=logit)
            loss = tf.reduce_mean(losses)
        variables = self._model.trainable_variables
        self._optimiser.apply(tape.gradient(loss, variables), variables)
        return logit

    def predict(self, image: tf.Tensor) -> tf.Tensor:
        """Return logits (batch,), on the device."""
        return self._predict(image)

    def to_numpy(self, logit: tf.Tensor) -> npt.NDArray[np.float32]:
        """Return logits from the device, waiting until they are there."""
        return logit.numpy()  # type: ignore[no-any-return]

    def set_learning_rate(self, rate: float) -> None:
        """Set the optimiser's learning rate."""
        self._optimiser.learning_rate = rate

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return weights, optimiser and random state by name."""
        weights = {f"weights/{name}": value for name, value in get_weights(self._model).items()}
        return weights | {name: variable.numpy() for name, variable in self._variables().items()}

    def _variables(self) -> dict[str, keras.Variable]:
        return {f"optimiser/{index}": variable for index, variable in enumerate(self._optimiser.variables)} | {
            f"random/{layer.name}": layer.seed_generator.state
            for layer in self._model.layers
            if isinstance(layer, keras.layers.Dropout)
        }

    def load_state(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go back to what `state` returned.

        Raises
        ------
        StateError
            If the state is of another architecture.
        """
        prefix = "weights/"
        set_weights(
            self._model, {name.removeprefix(prefix): a for name, a in arrays.items() if name.startswith(prefix)}
        )
        for name, variable in self._variables().items():
            variable.assign(arrays[name])

    def export(self, folder: Path) -> None:
        """Write ``model.keras``."""
        save_model(self._model, folder)


def choose_device(name: str) -> tf.config.PhysicalDevice:
    """Return the device that ``auto``, ``cpu`` or ``cuda`` means here, and hide GPUs if it is the CPU.

    Raises
    ------
    ConfigError
        If it is not there.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if name == "cuda" and not gpus:
        raise ConfigError("device='cuda' but TensorFlow finds no CUDA device; use --device cpu or auto")
    if name != "cpu" and gpus:
        return gpus[0]
    tf.config.set_visible_devices([], "GPU")
    return tf.config.list_physical_devices("CPU")[0]
