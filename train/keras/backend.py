"""The training backend in Keras on TensorFlow: one process, which divides each batch over its GPUs."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from store.arrays import Float32Array
from store.errors import ConfigError
from store.stream import BatchStream
from train.backend import Steps
from train.config import TrainConfig
from train.keras.feed import Inputs, feed
from train.keras.model import build_model, get_weights, neutral_name, save_model, set_weights
from train.model.specification import Specification
from train.model.weights import initial_weights
from train.variables import read_variables

BETAS = (0.9, 0.999)
EPSILON = 1e-7


class KerasBackend:
    """A `train.backend.Backend` in Keras.

    Parameters
    ----------
    specification
        The model.
    config
        Settings of the training.
    weights
        Weight of every sample of the store, see `train.weighting.read_weights`; None if all count the same.

    Raises
    ------
    ConfigError
        If the device is not available or cannot compute in the precision, or there are several ranks.
    """

    rank, world_size = 0, 1

    def __init__(self, specification: Specification, config: TrainConfig, weights: Float32Array | None = None) -> None:
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            raise ConfigError("WORLD_SIZE is above 1, but Keras trains in one process; use train-torch for more")
        self._devices = choose_devices(config)
        self.device = ", ".join(device.name.removeprefix("/device:").lower() for device in self._devices)
        if config.precision == "float16" and self._devices[0].device_type == "CPU":
            raise ConfigError("precision='float16' needs a GPU; use bfloat16 on the CPU")
        keras.utils.set_random_seed(config.seed)
        keras.config.set_dtype_policy("float32" if config.precision == "float32" else f"mixed_{config.precision}")
        self.model = build_model(specification)
        set_weights(self.model, initial_weights(specification.architecture, specification.image_shape, config.seed))
        self._has_ema, self._ema_decay = config.ema_decay > 0, config.ema_decay
        self._ema_steps = tf.Variable(0, dtype=tf.int64)
        self._predictor = build_model(specification) if self._has_ema else self.model
        self._optimiser = keras.optimizers.AdamW(
            config.learning_rate,
            beta_1=BETAS[0],
            beta_2=BETAS[1],
            epsilon=EPSILON,
            weight_decay=config.weight_decay,
            global_clipnorm=config.clip_norm or None,
        )
        if config.precision == "float16":
            self._optimiser = keras.optimizers.LossScaleOptimizer(self._optimiser)
        self._optimiser.build(self.model.trainable_variables)
        self._class_weights = None
        if isinstance(config.class_weights, tuple):
            self._class_weights = tf.constant(config.class_weights, tf.float32)
        names = specification.variables.names
        self._variables = read_variables(names, config.store) if names else None
        self._weights = weights
        self._train = tf.function(self._train_step, jit_compile=config.compile)
        self._predict = tf.function(self._predict_step, jit_compile=config.compile)
        self._trace()

    def feed(self, stream: BatchStream) -> Iterator[Steps]:
        """Yield the remaining batches of an epoch one by one, with tensors on the device."""
        device = self._devices[0].name if len(self._devices) == 1 else "/device:CPU:0"
        return (Steps.of_batch(*fed) for fed in feed(stream, device, self._variables, self._weights))

    def train(self, steps: Steps, rates: Sequence[float]) -> tf.Tensor:
        """Take an optimiser step; return the logits, (batch,) or (batch, K), of its forward pass, on the device."""
        (self._optimiser.learning_rate,) = rates
        target = steps.target if isinstance(steps.target, tuple) else (steps.target,)
        return self._train(self._divide(*steps.inputs, *target))

    def predict(self, inputs: Inputs) -> tf.Tensor:
        """Return logits, (batch,) or (batch, K), on the device, computed with the EMA unless it is disabled."""
        return self._predict(self._divide(*inputs))

    def copy_to_host(self, logits: Sequence[tf.Tensor]) -> Callable[[], Float32Array]:
        """Return what waits for the logits of several calls and returns them joined, (n,) or (n, K)."""
        return lambda: np.concatenate([logit.numpy() for logit in logits])

    def all_gather(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the values: there is only one rank."""
        return values

    def barrier(self) -> None:
        """Return at once: there is only one rank."""

    def state_dict(self) -> dict[str, npt.NDArray[Any]]:
        """Return weights, EMA, optimiser state and random state, by name."""
        state = {f"weights/{name}": value for name, value in get_weights(self.model).items()}
        if self._has_ema:
            state |= {f"average/{name}": value for name, value in get_weights(self._predictor).items()}
        return state | {name: variable.numpy() for name, variable in self._state_variables().items()}

    def load_state_dict(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Restore what `state_dict` returned.

        Raises
        ------
        StateError
            If the state belongs to another architecture.
        """
        for prefix, model in (("weights/", self.model), ("average/", self._predictor)):
            weights = {name.removeprefix(prefix): a for name, a in arrays.items() if name.startswith(prefix)}
            if weights:
                set_weights(model, weights)
        for name, variable in self._state_variables().items():
            variable.assign(arrays[name])

    def export(self, folder: Path) -> None:
        """Write ``model.keras`` into a run directory."""
        save_model(self._predictor, folder)

    def _trace(self) -> None:
        """Trace both steps for batches of any size; only a batch with fewer samples than devices is traced later."""
        inputs = tuple(tf.TensorSpec(tensor.shape, tf.float32) for tensor in self.model.inputs)
        label, weight = tf.TensorSpec((None,), tf.uint8), tf.TensorSpec((None,), tf.float32)
        target = (label,) if self._weights is None else (label, weight)
        self._train.get_concrete_function([(*inputs, *target)] * len(self._devices))
        self._predict.get_concrete_function([inputs] * len(self._devices))

    def _divide(self, *batch: tf.Tensor) -> list[tuple[tf.Tensor, ...]]:
        """Return the part of a batch for each device; none is empty, so there may be fewer parts than devices."""
        samples = len(batch[0])
        parts = min(samples, len(self._devices))
        if parts == 1:
            return [batch]
        bounds = pairwise(samples * part // parts for part in range(parts + 1))
        return [tuple(tensor[start:stop] for tensor in batch) for start, stop in bounds]

    def _train_step(self, parts: list[tuple[tf.Tensor, ...]]) -> tf.Tensor:
        weights, inputs = self.model.trainable_variables, len(self.model.inputs)
        samples = tf.add_n([tf.size(part[inputs]) for part in parts])
        logits, gradients = [], []
        for device, part in zip(self._devices, parts, strict=False):
            with tf.device(device.name):
                with tf.GradientTape() as tape:
                    logit = as_logits(self.model(list(part[:inputs]), training=True))
                    loss = self._loss(samples, logit, *part[inputs:])
                logits.append(logit)
                gradients.append(tape.gradient(loss, weights))
        self._optimiser.apply([tf.add_n(terms) for terms in zip(*gradients, strict=True)], weights)
        if self._has_ema:
            self._update_ema()
        return tf.concat(logits, 0)

    def _predict_step(self, parts: list[tuple[tf.Tensor, ...]]) -> tf.Tensor:
        logits = []
        for device, inputs in zip(self._devices, parts, strict=False):
            with tf.device(device.name):
                logits.append(as_logits(self._predictor(inputs, training=False)))
        return tf.concat(logits, 0)

    def _loss(
        self, samples: tf.Tensor, logit: tf.Tensor, label: tf.Tensor, weight: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Return one device's part of the loss; their sum is the mean over all samples of the batch."""
        if logit.shape.rank == 1:
            losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=tf.cast(label, tf.float32), logits=logit)
        else:
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=tf.cast(label, tf.int32), logits=logit)
        if weight is not None:
            losses *= weight
        if self._class_weights is not None:
            losses *= tf.gather(self._class_weights, tf.cast(label, tf.int32))
        loss = tf.reduce_sum(losses) / tf.cast(samples, tf.float32)
        scales = isinstance(self._optimiser, keras.optimizers.LossScaleOptimizer)
        return self._optimiser.scale_loss(loss) if scales else loss

    def _update_ema(self) -> None:
        """Update the exponential moving average (EMA) of the weights.

        In step n the decay is at most (1 + n) / (10 + n), and zero in the first one, as in
        ``tf.train.ExponentialMovingAverage``. Otherwise, the EMA after a short training would still be close to the
        initial weights.
        """
        steps = tf.cast(self._ema_steps, tf.float32)
        decay = tf.where(steps > 0, tf.minimum(self._ema_decay, (1 + steps) / (10 + steps)), 0.0)
        for mean, weight in zip(self._predictor.weights, self.model.weights, strict=True):
            if mean.dtype == "float32":
                mean.assign(weight + decay * (mean - weight))
        self._ema_steps.assign_add(1)

    def _state_variables(self) -> dict[str, Any]:
        """Return the TensorFlow variables of the optimiser, the dropout layers and the EMA, by name."""
        optimiser = {f"optimiser/{index}": variable for index, variable in enumerate(self._optimiser.variables)}
        random = {
            f"random/{neutral_name(layer)}": layer.seed_generator.state
            for layer in self.model.layers
            if isinstance(layer, keras.layers.Dropout)
        }
        return optimiser | random | ({"averaged": self._ema_steps} if self._has_ema else {})


def as_logits(output: tf.Tensor) -> tf.Tensor:
    """Return the output of a model in float32: (batch,) for one logit per sample, (batch, K) for more."""
    return tf.cast(output[:, 0] if output.shape[1] == 1 else output, tf.float32)


def choose_devices(config: TrainConfig) -> list[tf.config.LogicalDevice]:
    """Return the devices for ``auto``, ``cpu`` or ``cuda``: all GPUs or the CPU; for the CPU, GPUs are hidden.

    A compiled model gets only one GPU, because XLA compiles for a single device.

    Raises
    ------
    ConfigError
        If there is no GPU and the configured device is ``cuda``.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if config.device == "cuda" and not gpus:
        raise ConfigError("device='cuda' but TensorFlow finds no CUDA device; use --device cpu or auto")
    if config.device == "cpu":
        tf.config.set_visible_devices([], "GPU")
    kind = "GPU" if gpus and config.device != "cpu" else "CPU"
    devices: list[tf.config.LogicalDevice] = tf.config.list_logical_devices(kind)
    return devices[:1] if config.compile else devices
