"""The device that a rank computes on, and what it can do."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from store.errors import ConfigError, RunError
from train.config import AUTO
from train.precision import GPU_CAPABILITY, processor_has_bfloat16, resolve_precision


def join_ranks(device: str) -> tuple[int, int]:
    """Join the process group if ``torchrun`` started several ranks; return (rank, world size).

    Raises
    ------
    ConfigError
        If there are several ranks and `device` is ``mps``.
    """
    world_size = int(os.environ.get("WORLD_SIZE", "1"))
    if world_size > 1 and device == "mps":
        raise ConfigError(f"device='mps' works with one rank, WORLD_SIZE is {world_size}; use --device cpu")
    if world_size > 1 and not torch.distributed.is_initialized():
        on_gpus = device != "cpu" and torch.cuda.is_available()
        # What is on the host is gathered by gloo, which makes no GPU wait.
        torch.distributed.init_process_group("cpu:gloo,cuda:nccl" if on_gpus else "gloo")
    return int(os.environ.get("RANK", "0")), world_size


def choose_device(name: str) -> torch.device:
    """Return the device for ``auto``, ``cpu``, ``cuda`` or ``mps``: this rank's GPU or the CPU.

    ``auto`` takes an NVIDIA GPU or the CPU.

    Raises
    ------
    ConfigError
        If there is no such GPU.
    """
    if name == "mps":
        if not torch.backends.mps.is_available():
            raise ConfigError("device='mps' but PyTorch finds no Apple GPU; use --device cpu or auto")
        return torch.device("mps")
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device='cuda' but PyTorch finds no CUDA device; use --device cpu or auto")
    if name == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    torch.cuda.set_device(device)
    return device


def device_name(device: torch.device) -> str:
    """Return the name of a device for people."""
    match device.type:
        case "cuda":
            return torch.cuda.get_device_name(device)
        case "mps":
            return torch.backends.mps.get_name()
    return device.type


def choose_precision(precision: str, device: torch.device) -> str:
    """Return the precision to train in; ``auto`` is the same on all ranks, see `train.precision.resolve_precision`.

    Collective: every rank must call this.

    Raises
    ------
    ConfigError
        If the device does not compute in the precision.
    """
    if precision == AUTO:
        native = multiplies_bfloat16(device)
        if torch.distributed.is_initialized():
            answers = [native] * torch.distributed.get_world_size()
            torch.distributed.all_gather_object(answers, native)
            native = all(answers)
        return resolve_precision(precision, native=native)
    check_precision(precision, device)
    return precision


def multiplies_bfloat16(device: torch.device) -> bool:
    """Return whether a device has instructions that multiply in bfloat16."""
    match device.type:
        case "cuda":
            return torch.cuda.get_device_capability(device) >= GPU_CAPABILITY
        case "cpu":
            return processor_has_bfloat16()
    return False


def check_precision(precision: str, device: torch.device) -> None:
    """Check that a device computes in a precision.

    Raises
    ------
    ConfigError
        If it does not.
    """
    if precision == "float16" and device.type == "cpu":
        raise ConfigError("precision='float16' needs a GPU; use bfloat16 on the CPU")
    if precision == "bfloat16" and device.type == "cuda" and not torch.cuda.is_bf16_supported():
        raise ConfigError(f"precision='bfloat16' is unknown to {device_name(device)}; use float16 or float32")
    if precision == "tf32" and (device.type != "cuda" or torch.cuda.get_device_capability(device) < GPU_CAPABILITY):
        raise ConfigError(
            f"precision='tf32' needs an NVIDIA GPU of compute capability 8.0 or above, not {device_name(device)}; "
            "use float32"
        )


def allow_tf32(allowed: bool) -> None:
    """Let convolutions and matrix products of a GPU round float32 values to TF32, or not.

    By default, PyTorch rounds them in convolutions and not in matrix products.
    """
    torch.backends.cudnn.allow_tf32 = allowed
    torch.set_float32_matmul_precision("high" if allowed else "highest")


@contextmanager
def naming_missing_operations(device: torch.device) -> Iterator[None]:
    """Turn PyTorch's error about an operation that a device lacks into one line.

    Raises
    ------
    RunError
        If an operation is missing.
    """
    try:
        yield
    except NotImplementedError as error:
        first = str(error).partition(". ")[0]
        raise RunError(f"device={device.type!r}: {first}; use --device cpu") from None
