"""What the measurements need of PyTorch."""

import gc
import platform
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from train.backend import Backend, Steps
from train.config import TrainConfig
from train.model.specification import Specification
from train.pytorch.backend import TorchBackend
from train.pytorch.devices import allow_tf32

COUNTS_SYNCHRONISATIONS = True


def machine(device: str) -> dict[str, Any]:
    """Return the versions, and what is known of the device; ``gpus`` is how many there are."""
    facts = {"torch": torch.__version__, "gpus": torch.cuda.device_count(), "python": platform.python_version()}
    if device == "cpu" or not torch.cuda.is_available():
        return facts
    properties = torch.cuda.get_device_properties(0)
    return facts | {
        "device": properties.name,
        "capability": f"{properties.major}.{properties.minor}",
        "gpu_memory_gb": properties.total_memory / 1e9,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
    }


def settings(mode: str) -> dict[str, Any]:
    """Return the settings of `TrainConfig` for a way of launching."""
    return {"cuda_graph": mode == "graph"}


def backend(specification: Specification, config: TrainConfig) -> Backend:
    """Return the backend."""
    return TorchBackend(specification, config)


def images(steps: Steps, _: tuple[int, ...]) -> torch.Tensor:
    """Return the images of some batches on the device."""
    image: torch.Tensor = steps.inputs[0]
    return image


def synchronise(_: Any = None) -> None:
    """Wait until the device has done its work."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def release() -> None:
    """Give memory that is not used any more back to the device."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def forget_peak() -> None:
    """Begin to record the peak of the memory anew."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def peak_gb(device: str) -> float | None:
    """Return the peak of the memory of the device in GB; None for the CPU."""
    return torch.cuda.max_memory_allocated() / 1e9 if device == "cuda" else None


@contextmanager
def counting_synchronisations(device: str) -> Iterator[list[str]]:
    """Yield a list that afterwards holds a text for each operation that made the host wait for the device.

    PyTorch warns of copies and of waiting for a stream, not of waiting for an event.
    """
    found: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if device == "cuda":
            torch.cuda.set_sync_debug_mode("warn")
        try:
            yield found
        finally:
            if device == "cuda":
                torch.cuda.set_sync_debug_mode("default")
            found += [str(warning.message) for warning in caught if "synchroniz" in str(warning.message)]


def rate(device: str, kind: str, amount: int, seconds: float, precision: str) -> tuple[float, str]:
    """Return the rate of an operation and its unit.

    Parameters
    ----------
    device
        ``cuda`` or ``cpu``.
    kind
        ``upload``, ``upload pinned``, ``copy``, ``fill`` or ``product``.
    amount
        Bytes, or rows and columns of the matrices.
    seconds
        For how long it is measured.
    precision
        Of a product: ``float32``, ``tf32`` or ``bfloat16``.
    """
    if kind == "product":
        dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
        left, right, product = (torch.ones(amount, amount, dtype=dtype, device=device) for _ in range(3))
        allow_tf32(precision == "tf32")
        try:
            return 2 * amount**3 * repetitions(lambda: torch.mm(left, right, out=product), seconds) / 1e12, "TFLOP/s"
        finally:
            allow_tf32(False)
    target = torch.zeros(amount, dtype=torch.uint8, device=device)
    source = torch.ones(amount, dtype=torch.uint8, pin_memory=kind == "upload pinned")
    if kind == "copy":
        source = source.to(device)

    def run() -> None:
        if kind == "fill":
            target.zero_()
        else:
            target.copy_(source, non_blocking=True)

    return amount * repetitions(run, seconds) / 1e9, "GB/s"


def repetitions(run: Callable[[], Any], seconds: float) -> float:
    """Return how often the device does something per second."""
    run()
    count = 1
    while True:
        synchronise()
        began = time.perf_counter()
        for _ in range(count):
            run()
        synchronise()
        elapsed = time.perf_counter() - began
        if elapsed >= seconds:
            return count / elapsed
        count *= 2
