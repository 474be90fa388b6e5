"""The training backend in Keras on TensorFlow: one process, which divides each batch over its GPUs."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
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
from train.keras.devices import choose_devices, choose_precision, divide, free_memory
from train.keras.ema import AveragedModel
from train.keras.feed import Feed
from train.keras.loss import Loss
from train.keras.model import build_model, get_weights, neutral_name, save_model, set_weights
from train.keras.resident import Held, HeldInputs, Inputs, expand, split_inputs
from train.model.specification import Specification
from train.model.weights import initial_weights
from train.resident import ResidentSplit
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

    rank, world_size, takes_sparse = 0, 1, False

    def __init__(self, specification: Specification, config: TrainConfig, weights: Float32Array | None = None) -> None:
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            raise ConfigError("WORLD_SIZE is above 1, but Keras trains in one process; use train-torch for more")
        self._devices = choose_devices(config)
        self.device = ", ".join(device.name.removeprefix("/device:").lower() for device in self._devices)
        self.precision = choose_precision(config.precision, self._devices)
        lowered = self.precision in ("bfloat16", "float16")
        keras.config.set_dtype_policy(f"mixed_{self.precision}" if lowered else "float32")
        keras.utils.set_random_seed(config.seed)
        self.model = build_model(specification)
        set_weights(self.model, initial_weights(specification.architecture, specification.image_shape, config.seed))
        self._average = None
        self._copies = ThreadPoolExecutor(1, thread_name_prefix="logits")
        # What predicts and is exported computes in float32. With a decay of 0, it has the weights of the model.
        keras.config.set_dtype_policy("float32")
        if config.ema_decay > 0 or lowered:
            self._average = AveragedModel(self.model, build_model(specification), config.ema_decay)
        self._predictor = self._average.model if self._average else self.model
        self._optimiser = keras.optimizers.AdamW(
            config.learning_rate,
            beta_1=BETAS[0],
            beta_2=BETAS[1],
            epsilon=EPSILON,
            weight_decay=config.weight_decay,
            global_clipnorm=config.clip_norm or None,
        )
        if self.precision == "float16":
            self._optimiser = keras.optimizers.LossScaleOptimizer(self._optimiser)
        self._optimiser.build(self.model.trainable_variables)
        self._loss = Loss(config.class_weights if isinstance(config.class_weights, tuple) else None)
        names = specification.variables.names
        variables = read_variables(names, config.store) if names else None
        self._targets, self._shape = 1 if weights is None else 2, specification.image_shape
        self._feed = Feed([device.name for device in self._devices], variables, weights)
        self._train = tf.function(self._train_steps, jit_compile=config.compile)
        self._predict = tf.function(self._predict_batches, jit_compile=config.compile)
        self._traced: set[Any] = set()

    def free_memory(self) -> int | None:
        """Return how many bytes of images in sparse form each GPU has room for; None if the model runs on the CPU.

        A hit takes 8 bytes on the device, see `train.keras.resident.Held`, and 6 in sparse form.
        """
        free = free_memory(self._devices)
        return None if free is None else free * 6 // 8

    def teach(self, targets: Float32Array) -> None:
        """Train towards targets in place of labels; must be called before `hold` and `feed`."""
        self._feed.teach(targets)
        self._targets = 3

    def hold(self, split: str, images: ResidentSplit) -> None:
        """Keep the images of a split in the memory of the devices, from where `feed` then takes them."""
        self._feed.hold(split, images)

    def feed(self, stream: BatchStream) -> Iterator[Steps]:
        """Yield the remaining batches of an epoch, with tensors on the device."""
        return self._feed(stream)

    def train(self, steps: Steps, rates: Sequence[float]) -> tf.Tensor:
        """Take an optimiser step per batch; return the logits, (n,) or (n, K), of the forward passes, on the device."""
        target = steps.target if isinstance(steps.target, tuple) else (steps.target,)
        with tf.device("/device:CPU:0"):  # from where a GPU gets it without waiting for what is queued
            rate = tf.constant(rates, tf.float32)
        parts, held = split_inputs(steps.inputs, steps.count)
        samples = len(steps.sample) // steps.count
        devices = min(samples, len(self._devices))
        return self._run(self._train, ((*parts, *target), rate, held), devices, steps.count > 1)

    def predict(self, inputs: Inputs | HeldInputs) -> tf.Tensor:
        """Return logits, (n,) or (n, K), on the device, computed with the EMA unless it is disabled."""
        parts, held = split_inputs(inputs)
        return self._run(self._predict, (parts, held), min(len(parts[0]), len(self._devices)))

    def copy_to_host(self, logits: Sequence[tf.Tensor]) -> Callable[[], Float32Array]:
        """Return what waits for the logits of several calls and returns them joined, (n,) or (n, K).

        From a GPU, a thread copies them: TensorFlow waits for all work that is queued by then.
        """
        if self._devices[0].device_type == "CPU":
            return lambda: join_on_host(logits)
        return self._copies.submit(join_on_host, logits).result

    def all_gather(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the values: there is only one rank."""
        return values

    def barrier(self) -> None:
        """Return at once: there is only one rank."""

    def state_dict(self) -> dict[str, npt.NDArray[Any]]:
        """Return weights, EMA, optimiser state and random state, by name."""
        state = {f"weights/{name}": value for name, value in get_weights(self.model).items()}
        if self._average:
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

    def _run(self, step: Any, tensors: tuple[Any, ...], *choice: Any) -> tf.Tensor:
        """Run a step, which is traced once for any number of samples, steps and held images."""
        batch, *_, held = tensors
        key = (step, tuple(tensor.dtype for tensor in batch), bool(held), choice)
        if key not in self._traced:
            step.get_concrete_function(*tf.nest.map_structure(of_any_length, tensors), *choice)
            self._traced.add(key)
        return step(*tensors, *choice)

    def _train_steps(
        self, tensors: tuple[tf.Tensor, ...], rates: tf.Tensor, held: tuple[Held, ...], devices: int, several: bool
    ) -> tf.Tensor:
        """Take a step per batch of the same size, each on some of the devices; return the logits of all samples."""
        if not several:
            return self._train_step(tensors, rates[0], held, devices)
        count = tf.size(rates)
        size = tf.shape(tensors[0])[0] // count

        def body(step: tf.Tensor, logits: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
            batch = tuple(tensor[step * size : (step + 1) * size] for tensor in tensors)
            return step + 1, logits.write(step, self._train_step(batch, rates[step], held, devices))

        outputs = self.model.output.shape[1]
        logits = tf.TensorArray(tf.float32, count, element_shape=(None,) if outputs == 1 else (None, outputs))
        _, logits = tf.while_loop(lambda step, _: step < count, body, (0, logits), parallel_iterations=1)
        return tf.reshape(logits.stack(), [-1] if outputs == 1 else [-1, outputs])

    def _train_step(
        self, batch: tuple[tf.Tensor, ...], rate: tf.Tensor, held: tuple[Held, ...], devices: int
    ) -> tf.Tensor:
        self._optimiser.learning_rate = rate
        weights, samples = self.model.trainable_variables, tf.shape(batch[-1])[0]
        logits, gradients = [], []
        for index, part in enumerate(divide(batch, devices)):
            with tf.device(self._devices[index].name):
                inputs = self._inputs(part[: -self._targets], held, index)
                with tf.GradientTape() as tape:
                    logit = as_logits(self.model(list(inputs), training=True))
                    loss = self._loss(samples, logit, *part[-self._targets :])
                    if isinstance(self._optimiser, keras.optimizers.LossScaleOptimizer):
                        loss = self._optimiser.scale_loss(loss)
                logits.append(logit)
                gradients.append(tape.gradient(loss, weights))
        self._optimiser.apply([tf.add_n(terms) for terms in zip(*gradients, strict=True)], weights)
        if self._average:
            self._average.update()
        return tf.concat(logits, 0)

    def _predict_batches(self, tensors: tuple[tf.Tensor, ...], held: tuple[Held, ...], devices: int) -> tf.Tensor:
        logits = []
        for index, part in enumerate(divide(tensors, devices)):
            with tf.device(self._devices[index].name):
                inputs = self._inputs(part, held, index)
                logits.append(as_logits(self._predictor(list(inputs), training=False)))
        return tf.concat(logits, 0)

    def _inputs(self, part: Inputs, held: tuple[Held, ...], device: int) -> Inputs:
        """Return the model's inputs on a device: the given ones, or those of held images."""
        return expand(held[device], self._shape, *part) if held else part

    def _state_variables(self) -> dict[str, Any]:
        """Return the TensorFlow variables of the optimiser, the dropout layers and the EMA, by name."""
        optimiser = {f"optimiser/{index}": variable for index, variable in enumerate(self._optimiser.variables)}
        random = {
            f"random/{neutral_name(layer)}": layer.seed_generator.state
            for layer in self.model.layers
            if isinstance(layer, keras.layers.Dropout)
        }
        return optimiser | random | ({"averaged": self._average.updates} if self._average else {})


def of_any_length(tensor: tf.Tensor) -> tf.TensorSpec:
    """Return the type of a tensor, with any size of its first axis."""
    return tf.TensorSpec((None, *tensor.shape[1:]), tensor.dtype)


def as_logits(output: tf.Tensor) -> tf.Tensor:
    """Return the output of a model in float32: (batch,) for one logit per sample, (batch, K) for more."""
    return tf.cast(output[:, 0] if output.shape[1] == 1 else output, tf.float32)


def join_on_host(logits: Sequence[tf.Tensor]) -> Float32Array:
    """Return logits of several calls joined, once they have been computed."""
    return np.concatenate([logit.numpy() for logit in logits])
