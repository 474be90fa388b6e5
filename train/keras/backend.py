"""Learning with Keras on TensorFlow: one process, which shares each batch out over its GPUs."""

import os
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from store.errors import ConfigError
from store.stream import Batch, BatchStream
from train.config import TrainConfig
from train.keras.feed import feed
from train.keras.model import build_model, get_weights, save_model, set_weights
from train.model.specification import Specification
from train.model.weights import initial
from train.variables import read_table

Inputs = tuple[tf.Tensor, ...]


class KerasBackend:
    """A `train.backend.Backend` in Keras; `config` says how to train.

    Raises
    ------
    ConfigError
        If the device is not there, cannot compute in the precision, or there are several ranks.
    """

    rank, world_size = 0, 1

    def __init__(self, specification: Specification, config: TrainConfig) -> None:
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            raise ConfigError("WORLD_SIZE is above 1, but Keras trains in one process; train-torch takes several ranks")
        self._devices = choose_devices(config)
        self.device = ", ".join(device.name.removeprefix("/device:").lower() for device in self._devices)
        if config.precision == "float16" and self._devices[0].device_type == "CPU":
            raise ConfigError("precision='float16' needs a GPU; on the CPU there is bfloat16")
        keras.utils.set_random_seed(config.seed)
        keras.config.set_dtype_policy("float32" if config.precision == "float32" else f"mixed_{config.precision}")
        self._specification, self._model = specification, build_model(specification)
        set_weights(self._model, initial(specification.architecture, specification.image_shape, config.seed))
        self._keep, self._averaged = config.average, tf.Variable(0, dtype=tf.int64)
        self._judged = build_model(specification) if config.average else self._model
        self._optimiser = keras.optimizers.AdamW(
            config.learning_rate,
            beta_1=0.9,
            beta_2=0.999,
            epsilon=1e-7,
            weight_decay=config.weight_decay,
            global_clipnorm=config.clip_norm or None,
        )
        if config.precision == "float16":
            self._optimiser = keras.optimizers.LossScaleOptimizer(self._optimiser)
        self._optimiser.build(self._model.trainable_variables)
        self._class_weights = None
        if isinstance(config.class_weights, tuple):
            self._class_weights = tf.constant(config.class_weights, tf.float32)
        self._train = tf.function(self._step, jit_compile=config.compile)
        self._predict = tf.function(self._score, jit_compile=config.compile)
        names = specification.variables.names
        self._table = read_table(names, config.store) if names else None
        # Traced here for batches of any size; one with fewer samples than devices is traced when it comes.
        inputs = tuple(tf.TensorSpec(tensor.shape, tf.float32) for tensor in self._model.inputs)
        label = tf.TensorSpec((None,), tf.uint8)
        self._train.get_concrete_function([(*inputs, label)] * len(self._devices))
        self._predict.get_concrete_function([inputs] * len(self._devices))

    def feed(self, stream: BatchStream) -> Iterator[tuple[Batch, Inputs, tf.Tensor]]:
        """Yield each batch of an epoch with what the model takes of it, and its label, as tensors on the device."""
        device = self._devices[0].name if len(self._devices) == 1 else "/device:CPU:0"
        return feed(stream, device, self._table)

    def train(self, inputs: Inputs, label: tf.Tensor) -> tf.Tensor:
        """Take one step of the optimiser; return the logits (batch,) that it was computed from, on the device."""
        return self._train(self._share_out(*inputs, label))

    def _share_out(self, *batch: tf.Tensor) -> list[tuple[tf.Tensor, ...]]:
        """Return each device's part of a batch; none is empty, so there may be fewer parts than devices."""
        samples = len(batch[0])
        parts = min(samples, len(self._devices))
        if parts == 1:
            return [batch]
        bounds = pairwise(samples * part // parts for part in range(parts + 1))
        return [tuple(tensor[start:stop] for tensor in batch) for start, stop in bounds]

    def _step(self, parts: list[tuple[tf.Tensor, ...]]) -> tf.Tensor:
        variables = self._model.trainable_variables
        samples = tf.add_n([tf.size(label) for *_, label in parts])
        logits, gradients = [], []
        for device, (*inputs, label) in zip(self._devices, parts, strict=False):
            with tf.device(device.name):
                with tf.GradientTape() as tape:
                    logit = tf.cast(self._model(inputs, training=True)[:, 0], tf.float32)
                    loss = self._loss(logit, label, samples)
                logits.append(logit)
                gradients.append(tape.gradient(loss, variables))
        self._optimiser.apply([tf.add_n(terms) for terms in zip(*gradients, strict=True)], variables)
        if self._keep:
            self._update_mean()
        return tf.concat(logits, 0)

    def _loss(self, logit: tf.Tensor, label: tf.Tensor, samples: tf.Tensor) -> tf.Tensor:
        """Return what a device's part adds to the mean over the samples of the batch."""
        losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=tf.cast(label, tf.float32), logits=logit)
        if self._class_weights is not None:
            losses *= tf.gather(self._class_weights, tf.cast(label, tf.int32))
        loss = tf.reduce_sum(losses) / tf.cast(samples, tf.float32)
        scales = isinstance(self._optimiser, keras.optimizers.LossScaleOptimizer)
        return self._optimiser.scale_loss(loss) if scales else loss

    def _score(self, parts: list[tuple[tf.Tensor, ...]]) -> tf.Tensor:
        logits = []
        for device, inputs in zip(self._devices, parts, strict=False):
            with tf.device(device.name):
                logits.append(tf.cast(self._judged(inputs, training=False)[:, 0], tf.float32))
        return tf.concat(logits, 0)

    def _update_mean(self) -> None:
        """Move the mean of the weights; see `train.pytorch.backend.averaging`."""
        steps = tf.cast(self._averaged, tf.float32)
        share = tf.where(steps > 0, tf.minimum(self._keep, (1 + steps) / (10 + steps)), 0.0)
        for mean, variable in zip(self._judged.weights, self._model.weights, strict=True):
            if mean.dtype == "float32":
                mean.assign(variable + share * (mean - variable))
        self._averaged.assign_add(1)

    def predict(self, inputs: Inputs) -> tf.Tensor:
        """Return logits (batch,), on the device, of the mean weights if there are any."""
        return self._predict(self._share_out(*inputs))

    def to_numpy(self, logit: tf.Tensor) -> npt.NDArray[np.float32]:
        """Return logits from the device, waiting until they are there."""
        return logit.numpy()  # type: ignore[no-any-return]

    def all_gather(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the values as they are: there is one rank."""
        return values

    def set_learning_rate(self, rate: float) -> None:
        """Set the optimiser's learning rate."""
        self._optimiser.learning_rate = rate

    def state_dict(self) -> dict[str, npt.NDArray[Any]]:
        """Return weights, their mean, optimiser and random state by name."""
        state = {f"weights/{name}": value for name, value in get_weights(self._model).items()}
        if self._keep:
            state |= {f"average/{name}": value for name, value in get_weights(self._judged).items()}
        return state | {name: variable.numpy() for name, variable in self._variables().items()}

    def _variables(self) -> dict[str, Any]:
        return (
            {f"optimiser/{index}": variable for index, variable in enumerate(self._optimiser.variables)}
            | {
                f"random/{layer.name}": layer.seed_generator.state
                for layer in self._model.layers
                if isinstance(layer, keras.layers.Dropout)
            }
            | ({"averaged": self._averaged} if self._keep else {})
        )

    def load_state_dict(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Go back to what `state_dict` returned.

        Raises
        ------
        StateError
            If the state is of another architecture.
        """
        for prefix, model in (("weights/", self._model), ("average/", self._judged)):
            weights = {name.removeprefix(prefix): a for name, a in arrays.items() if name.startswith(prefix)}
            if weights:
                set_weights(model, weights)
        for name, variable in self._variables().items():
            variable.assign(arrays[name])

    def export(self, folder: Path) -> None:
        """Write ``model.keras``."""
        save_model(self._judged, folder)


def choose_devices(config: TrainConfig) -> list[tf.config.LogicalDevice]:
    """Return the devices that ``auto``, ``cpu`` or ``cuda`` means here, and hide GPUs if it is the CPU.

    These are all GPUs, or one if the model is compiled: XLA compiles for a single device.

    Raises
    ------
    ConfigError
        If there is none.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if config.device == "cuda" and not gpus:
        raise ConfigError("device='cuda' but TensorFlow finds no CUDA device; use --device cpu or auto")
    if config.device == "cpu":
        tf.config.set_visible_devices([], "GPU")
    kind = "GPU" if gpus and config.device != "cpu" else "CPU"
    devices: list[tf.config.LogicalDevice] = tf.config.list_logical_devices(kind)
    return devices[:1] if config.compile else devices
