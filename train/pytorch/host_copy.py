"""Copies from a device that no other work on it waits for."""

from collections.abc import Callable, Sequence
from functools import cache

import torch
from torch import Tensor

from store.arrays import Float32Array


def begin_copy(tensors: Sequence[Tensor]) -> Callable[[], Float32Array]:
    """Begin to copy float32 tensors (n, ...), joined along the first axis, to the host.

    On a GPU, the copy goes to page-locked memory on a CUDA stream of its own, after all work that has been queued so
    far. Later work does not wait for it, as it would for a copy on the same stream.

    Returns
    -------
    Callable
        Waits for the copy and returns it.
    """
    joined = torch.cat(tuple(tensors))
    if joined.device.type != "cuda":
        return joined.cpu().numpy
    stream, host = copy_stream(joined.device), torch.empty(joined.shape, dtype=joined.dtype, pin_memory=True)
    stream.wait_stream(torch.cuda.current_stream(joined.device))
    with torch.cuda.stream(stream):
        host.copy_(joined, non_blocking=True)
    copied = stream.record_event()

    def wait(source: Tensor = joined) -> Float32Array:  # `source` keeps the memory until it has been copied
        copied.synchronize()
        return host.numpy()

    return wait


@cache
def copy_stream(device: torch.device) -> torch.cuda.Stream:
    """Return the CUDA stream of a device for copies to the host."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
