"""From the batch stream to PyTorch tensors."""

from collections import deque
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from store.arrays import Float32Array
from store.stream import Batch, BatchStream
from train.variables import model_inputs
from train.weighting import model_targets

Inputs = tuple[Tensor, ...]
Target = Tensor | tuple[Tensor, Tensor]
"""Labels (batch,), or labels and weights."""


def batch_tensors(batch: Batch) -> tuple[Tensor, Tensor] | tuple[Tensor, dict[str, Tensor], Tensor]:
    """Return (image, label), or (image, columns, label) if the batch has columns; the tensors share its memory."""
    image, label = torch.from_numpy(batch.image), torch.from_numpy(batch.label)
    if not batch.columns:
        return image, label
    return image, {name: torch.from_numpy(values) for name, values in batch.columns.items()}, label


def feed(
    stream: BatchStream,
    device: torch.device,
    variables: Float32Array | None = None,
    weights: Float32Array | None = None,
) -> Iterator[tuple[Batch, Inputs, Target]]:
    """Yield each batch with the model's inputs and the labels (batch,) as tensors on the device.

    The inputs are those of `train.variables.model_inputs`: images (batch, ieta, iphi, channel), and variables
    (batch, variable) if `variables` holds those of the whole store. If `weights` holds the weights of all its samples,
    the labels come in a tuple with the weights (batch,).

    On the CPU the tensors share the batch's memory. For a GPU, samples are decoded into pinned memory and copied from
    there on a separate CUDA stream, one batch ahead of the one that the model works on.
    """
    if device.type == "cpu":
        for batch in stream:
            inputs = tuple(map(torch.from_numpy, model_inputs(batch, variables)))
            yield batch, inputs, _as_target(map(torch.from_numpy, model_targets(batch, weights)))
    else:
        stream.buffers.allocate = allocate_pinned
        yield from _feed_cuda(stream, device, variables, weights)


def allocate_pinned(shape: tuple[int, ...]) -> Float32Array:
    """Return page-locked memory, which a GPU can copy from asynchronously."""
    return torch.empty(shape, dtype=torch.float32, pin_memory=True).numpy()


def _as_target(tensors: Iterable[Tensor]) -> Target:
    label, *weights = tensors
    return (label, weights[0]) if weights else label


def _feed_cuda(
    stream: BatchStream, device: torch.device, variables: Float32Array | None, weights: Float32Array | None
) -> Iterator[tuple[Batch, Inputs, Target]]:
    copies = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    ahead: deque[tuple[Batch, list[list[Tensor]], torch.cuda.Event]] = deque()
    for batch in stream:
        parts = model_inputs(batch, variables), model_targets(batch, weights)
        with torch.cuda.stream(copies):
            tensors = [[torch.from_numpy(array).to(device, non_blocking=True) for array in part] for part in parts]
        ahead.append((batch, tensors, copies.record_event()))
        if len(ahead) > 1:
            yield _wait_for_copy(*ahead.popleft())
    while ahead:
        yield _wait_for_copy(*ahead.popleft())


def _wait_for_copy(batch: Batch, tensors: list[list[Tensor]], copied: torch.cuda.Event) -> tuple[Batch, Inputs, Target]:
    # The copy began one batch ago; once it has finished, the batch's memory may be decoded into again.
    copied.synchronize()
    # The allocator must not reuse this memory while work queued on the main stream still reads it.
    inputs, targets = tensors
    for tensor in (*inputs, *targets):
        tensor.record_stream(torch.cuda.current_stream(tensor.device))
    return batch, tuple(inputs), _as_target(targets)
