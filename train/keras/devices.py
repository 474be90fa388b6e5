"""The devices that a training computes on."""

from itertools import pairwise

import tensorflow as tf
from tensorflow.python.client import device_lib

from store.errors import ConfigError
from train.config import TrainConfig
from train.precision import GPU_CAPABILITY, processor_has_bfloat16, resolve_precision


def choose_devices(config: TrainConfig) -> list[tf.config.LogicalDevice]:
    """Return the devices for ``auto``, ``cpu`` or ``cuda``: all GPUs or the CPU; for the CPU, GPUs are hidden.

    A compiled model gets only one GPU, because XLA compiles for a single device.

    Raises
    ------
    ConfigError
        If there is no GPU and the configured device is ``cuda``, or the device is one of PyTorch alone.
    """
    if config.device == "mps":
        raise ConfigError("device='mps' is for PyTorch; use --device cpu or auto with Keras, or train-torch")
    gpus = tf.config.list_physical_devices("GPU")
    if config.device == "cuda" and not gpus:
        raise ConfigError("device='cuda' but TensorFlow finds no CUDA device; use --device cpu or auto")
    if config.device == "cpu":
        tf.config.set_visible_devices([], "GPU")
    kind = "GPU" if gpus and config.device != "cpu" else "CPU"
    devices: list[tf.config.LogicalDevice] = tf.config.list_logical_devices(kind)
    return devices[:1] if config.compile else devices


def choose_precision(precision: str, devices: list[tf.config.LogicalDevice]) -> str:
    """Return the precision to train in, see `train.precision.resolve_precision`; allow or forbid TF32 accordingly.

    By default, TensorFlow rounds what a GPU multiplies to TF32, also in ``float32``.

    Raises
    ------
    ConfigError
        If the devices do not compute in the precision.
    """
    on_cpu = devices[0].device_type == "CPU"
    details = (
        [] if on_cpu else list(map(tf.config.experimental.get_device_details, tf.config.get_visible_devices("GPU")))
    )
    capable = all(gpu.get("compute_capability", (0, 0)) >= GPU_CAPABILITY for gpu in details)
    precision = resolve_precision(precision, native=processor_has_bfloat16() if on_cpu else capable)
    if precision == "float16" and on_cpu:
        raise ConfigError("precision='float16' needs a GPU; use bfloat16 on the CPU")
    if precision == "tf32" and (on_cpu or not capable):
        names = ", ".join(gpu.get("device_name", "a GPU") for gpu in details) or "the CPU"
        raise ConfigError(
            f"precision='tf32' needs an NVIDIA GPU of compute capability 8.0 or above, not {names}; use float32"
        )
    tf.config.experimental.enable_tensor_float_32_execution(precision == "tf32")
    return precision


def free_memory(devices: list[tf.config.LogicalDevice]) -> int | None:
    """Return the bytes that TensorFlow can still use on each of the GPUs; None on the CPU.

    TensorFlow reserves nearly all of a GPU's memory at its start, so that what the driver calls free says nothing.
    """
    if devices[0].device_type != "GPU":
        return None
    # tf.config states no limit that TensorFlow chose itself, only those that were set and the memory in use.
    limits = {device.name.lower(): int(device.memory_limit) for device in device_lib.list_local_devices()}
    return min(limits[device.name.lower()] - memory_in_use(device.name) for device in devices)


def memory_in_use(device: str) -> int:
    """Return the bytes of a GPU that hold tensors."""
    return int(tf.config.experimental.get_memory_info(device.removeprefix("/device:"))["current"])


def divide(batch: tuple[tf.Tensor, ...], parts: int) -> list[tuple[tf.Tensor, ...]]:
    """Return the part of a batch for each of some devices; none is empty if there are at least as many samples."""
    if parts == 1:
        return [batch]
    samples = tf.shape(batch[0])[0]
    bounds = pairwise(samples * part // parts for part in range(parts + 1))
    return [tuple(tensor[start:stop] for tensor in batch) for start, stop in bounds]
