"""From the batch stream to PyTorch tensors."""

from collections import deque
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from store.stream import Batch, BatchStream


def feed(stream: BatchStream, device: torch.device) -> Iterator[tuple[Batch, Tensor, Tensor]]:
    """Yield every batch with its image (batch, ieta, iphi, channel) and label (batch,) on the device.

    On the CPU the tensors are the batch's own memory. For a GPU, samples are decoded into pinned memory and copied from
    there on a stream of their own, one batch ahead of the one that is being worked on.
    """
    if device.type == "cpu":
        for batch in stream:
            yield batch, torch.from_numpy(batch.image), torch.from_numpy(batch.label)
    else:
        stream.buffers.allocate = pinned
        yield from _feed_cuda(stream, device)


def pinned(shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Return memory that a GPU can copy from by itself."""
    return torch.empty(shape, dtype=torch.float32, pin_memory=True).numpy()


def _feed_cuda(stream: BatchStream, device: torch.device) -> Iterator[tuple[Batch, Tensor, Tensor]]:
    side = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    ahead: deque[tuple[Batch, Tensor, Tensor, torch.cuda.Event]] = deque()
    for batch in stream:
        with torch.cuda.stream(side):
            image, label = (
                torch.from_numpy(array).to(device, non_blocking=True) for array in (batch.image, batch.label)
            )
        ahead.append((batch, image, label, side.record_event()))
        if len(ahead) > 1:
            yield _arrived(*ahead.popleft())
    while ahead:
        yield _arrived(*ahead.popleft())


def _arrived(batch: Batch, image: Tensor, label: Tensor, copied: torch.cuda.Event) -> tuple[Batch, Tensor, Tensor]:
    # Waits for a copy that began a batch ago, so that the batch's memory may be decoded into again.
    copied.synchronize()
    # The allocator must not give this memory away while work that is queued on the main stream still reads it.
    main = torch.cuda.current_stream(image.device)
    image.record_stream(main)
    label.record_stream(main)
    return batch, image, label
