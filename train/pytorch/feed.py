"""From the batch stream to PyTorch tensors."""

from collections import deque
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from store.stream import Batch, BatchStream
from train.variables import Table, inputs


def feed(
    stream: BatchStream, device: torch.device, table: Table | None = None
) -> Iterator[tuple[Batch, tuple[Tensor, ...], Tensor]]:
    """Yield every batch with the images (batch, ieta, iphi, channel) and variables of `inputs`, and labels (batch,).

    On the CPU the tensors are the batch's own memory. For a GPU, samples are decoded into pinned memory and copied from
    there on a stream of their own, one batch ahead of the one that is being worked on.
    """
    if device.type == "cpu":
        for batch in stream:
            yield batch, tuple(map(torch.from_numpy, inputs(batch, table))), torch.from_numpy(batch.label)
    else:
        stream.buffers.allocate = pinned
        yield from _feed_cuda(stream, device, table)


def pinned(shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Return memory that a GPU can copy from by itself."""
    return torch.empty(shape, dtype=torch.float32, pin_memory=True).numpy()


def _feed_cuda(
    stream: BatchStream, device: torch.device, table: Table | None
) -> Iterator[tuple[Batch, tuple[Tensor, ...], Tensor]]:
    side = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    ahead: deque[tuple[Batch, list[Tensor], torch.cuda.Event]] = deque()
    for batch in stream:
        with torch.cuda.stream(side):
            tensors = [
                torch.from_numpy(array).to(device, non_blocking=True) for array in (*inputs(batch, table), batch.label)
            ]
        ahead.append((batch, tensors, side.record_event()))
        if len(ahead) > 1:
            yield _arrived(*ahead.popleft())
    while ahead:
        yield _arrived(*ahead.popleft())


def _arrived(batch: Batch, tensors: list[Tensor], copied: torch.cuda.Event) -> tuple[Batch, tuple[Tensor, ...], Tensor]:
    # Waits for a copy that began a batch ago, so that the batch's memory may be decoded into again.
    copied.synchronize()
    # The allocator must not give this memory away while work that is queued on the main stream still reads it.
    for tensor in tensors:
        tensor.record_stream(torch.cuda.current_stream(tensor.device))
    return batch, tuple(tensors[:-1]), tensors[-1]
