"""What the measurements need of Keras on TensorFlow."""

import gc
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from train.backend import Backend, Steps
from train.config import TrainConfig
from train.keras.backend import KerasBackend
from train.keras.resident import HeldInputs, expand, split_inputs
from train.model.specification import Specification

COUNTS_SYNCHRONISATIONS = False  # TensorFlow does not tell

expand_images = tf.function(expand)


def machine(device: str) -> dict[str, Any]:
    """Return the versions, and what is known of the device; ``gpus`` is how many there are."""
    gpus = tf.config.list_physical_devices("GPU")
    facts = {
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "gpus": len(gpus),
        "python": platform.python_version(),
    }
    if device == "cpu" or not gpus:
        return facts
    details, build = tf.config.experimental.get_device_details(gpus[0]), tf.sysconfig.get_build_info()
    capability = ".".join(map(str, details.get("compute_capability", ())))
    return facts | {
        "device": details.get("device_name", "GPU"),
        "capability": capability,
        "cuda": build.get("cuda_version"),
        "cudnn": build.get("cudnn_version"),
    }


def settings(mode: str) -> dict[str, Any]:
    """Return the settings of `TrainConfig` for a way of launching."""
    return {"compile": mode == "graph"}


def backend(specification: Specification, config: TrainConfig) -> Backend:
    """Return the backend."""
    return KerasBackend(specification, config)


def images(steps: Steps, shape: tuple[int, ...]) -> tf.Tensor:
    """Return the images of some batches on the device; a training step expands resident ones in the same way."""
    if not isinstance(steps.inputs, HeldInputs):
        return steps.inputs[0]
    parts, (held, *_) = split_inputs(steps.inputs)
    return expand_images(held, shape, *parts)[0]


def synchronise(tensors: Any) -> None:
    """Wait until the device has computed the tensors."""
    for tensor in tensors:
        tf.reduce_sum(tensor[:1]).numpy()


def release() -> None:
    """Give memory that is not used any more back to TensorFlow."""
    keras.backend.clear_session()
    gc.collect()


def forget_peak() -> None:
    """Begin to record the peak of the memory anew."""
    if tf.config.list_physical_devices("GPU"):
        tf.config.experimental.reset_memory_stats("GPU:0")


def peak_gb(device: str) -> float | None:
    """Return the peak of the memory of the device in GB; None for the CPU."""
    return tf.config.experimental.get_memory_info("GPU:0")["peak"] / 1e9 if device == "cuda" else None


@contextmanager
def counting_synchronisations(_: str) -> Iterator[list[str]]:
    """Yield an empty list, since TensorFlow does not tell."""
    yield []


def rate(device: str, kind: str, amount: int, seconds: float, precision: str) -> tuple[float, str]:
    """Return the rate of an operation and its unit; see `tests.benchmarks.gpu.torch_side.rate`."""
    with tf.device("GPU:0" if device == "cuda" else "CPU:0"):
        if kind == "product":
            before = tf.config.experimental.tensor_float_32_execution_enabled()
            tf.config.experimental.enable_tensor_float_32_execution(precision == "tf32")
            dtype = tf.bfloat16 if precision == "bfloat16" else tf.float32
            left, right = tf.ones((amount, amount), dtype), tf.ones((amount, amount), dtype)
            try:
                return 2 * amount**3 * repetitions(lambda: left @ right, seconds) / 1e12, "TFLOP/s"
            finally:
                tf.config.experimental.enable_tensor_float_32_execution(before)
        on_host = np.ones(amount, np.uint8)
        on_device = tf.Variable(on_host)
        runs: dict[str, Callable[[], tf.Tensor]] = {
            "upload": lambda: tf.constant(on_host),
            "copy": lambda: on_device.assign(on_device + 0),
            "fill": lambda: tf.zeros(amount, tf.uint8),
        }
        return amount * repetitions(runs[kind], seconds) / 1e9, "GB/s"


def repetitions(run: Callable[[], tf.Tensor], seconds: float) -> float:
    """Return how often the device does something per second; each result is dropped when the next one is there."""
    synchronise([run()])
    count = 1
    while True:
        began = time.perf_counter()
        for _ in range(count):
            result = run()
        synchronise([result])
        elapsed = time.perf_counter() - began
        if elapsed >= seconds:
            return count / elapsed
        count *= 2
