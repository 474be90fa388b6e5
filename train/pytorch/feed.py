"""From the batch stream to PyTorch tensors."""

from collections import deque
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from store.arrays import Float32Array
from store.batch import Batch, SampleBatch, SparseBatch
from store.stream import BatchStream
from train.pytorch.resident import Inputs, ResidentImages, Target, as_target, expand, signed_positions, to_device
from train.resident import ResidentSplit
from train.weighting import loss_columns, model_targets

Fed = tuple[Batch | SampleBatch | SparseBatch, Inputs, Target]
COPIES = 2  # batches whose memory a GPU may still be copying from


def batch_tensors(batch: Batch) -> tuple[Tensor, Tensor] | tuple[Tensor, dict[str, Tensor], Tensor]:
    """Return (image, label), or (image, columns, label) if the batch has columns; the tensors share its memory."""
    image, label = torch.from_numpy(batch.image), torch.from_numpy(batch.label)
    if not batch.columns:
        return image, label
    return image, {name: torch.from_numpy(values) for name, values in batch.columns.items()}, label


class Feed:
    """Gives the batches of streams as tensors on a device, from the store or from the device's memory.

    Parameters
    ----------
    device
        The device.
    variables, weights
        Those of all samples of the store, see `train.variables.read_variables` and `train.weighting.read_weights`; None
        if the model takes images alone, or all samples count the same.
    """

    def __init__(
        self, device: torch.device, variables: Float32Array | None = None, weights: Float32Array | None = None
    ) -> None:
        self._device, self._variables, self._weights = device, variables, weights
        self._columns = loss_columns(weights)
        self._resident: dict[str, ResidentImages] = {}

    def teach(self, targets: Float32Array) -> None:
        """Give targets beside the labels, see `train.teacher_scores.TeacherScores.targets`."""
        self._columns = loss_columns(self._weights, targets)

    def hold(self, split: str, images: ResidentSplit) -> None:
        """Keep the images of a split in the device's memory, from where its streams are fed then."""
        self._resident[split] = ResidentImages(images, self._device, self._variables, self._columns)

    def free_memory(self) -> int | None:
        """Return the bytes that are free in the GPU's own memory; None on the CPU."""
        if self._device.type == "cuda":
            unused = torch.cuda.memory_reserved(self._device) - torch.cuda.memory_allocated(self._device)
            return torch.cuda.mem_get_info(self._device)[0] + unused
        if self._device.type == "mps":
            return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
        return None

    def __call__(self, stream: BatchStream) -> Iterator[Fed]:
        """Yield each remaining batch of an epoch with the model's inputs and the labels (batch,) on the device.

        The inputs are images (batch, ieta, iphi, channel), and variables (batch, variable) if there are any. If samples
        have weights, or there are teachers, the labels come in a tuple with the columns of
        `train.weighting.loss_columns`.

        On the CPU the tensors share the batch's memory. For a GPU, samples are decoded into pinned memory and copied
        from there on a separate CUDA stream, one batch ahead of the one that the model works on. A batch whose split is
        held, or that a sparse stream gives, is expanded on the device.
        """
        resident = self._resident.get(stream.plan.identity.get("split", ""))
        if resident is not None:
            return resident(stream)
        if self._device.type == "cuda":
            stream.buffers.allocate = allocate_pinned
            return _one_ahead(stream, self._copy, self._device)
        return (self._copy(batch) for batch in stream)

    def _copy(self, batch: Batch | SparseBatch) -> Fed:
        """Begin to copy a batch to the device on the current CUDA stream; return it with its tensors there."""
        if isinstance(batch, Batch):
            images = torch.from_numpy(batch.image).to(self._device, non_blocking=self._device.type == "cuda")
        else:
            arrays = batch.images.value, signed_positions(batch.images), np.diff(batch.images.offset)
            value, position, hits = (to_device(array, self._device) for array in arrays)
            images = expand(value, position, hits, batch.images.shape)
        variables = () if self._variables is None else (to_device(self._variables[batch.sample], self._device),)
        targets = model_targets(batch, self._columns)
        return batch, (images, *variables), as_target(to_device(array, self._device) for array in targets)


def allocate_pinned(shape: tuple[int, ...]) -> Float32Array:
    """Return page-locked memory, which a GPU can copy from asynchronously."""
    return torch.empty(shape, dtype=torch.float32, pin_memory=True).numpy()


def _one_ahead(stream: BatchStream, copy: Callable[..., Fed], device: torch.device) -> Iterator[Fed]:
    """Yield what `copy` returns for each batch of a stream, after it has begun on the next one.

    A copy begins when the model has finished with the batch before the last, so that the memory of the GPU holds few
    batches, however far ahead of it the host is. The host waits for nothing but copies that began long before.
    """
    copies, model = torch.cuda.Stream(device), torch.cuda.current_stream(device)  # type: ignore[no-untyped-call]
    ahead = deque[tuple[Fed, torch.cuda.Event]]()
    copied = deque[tuple[object, torch.cuda.Event]]()  # keeps the memory of batches from being decoded into meanwhile
    for batch in stream:
        copies.wait_stream(model)
        with torch.cuda.stream(copies):
            fed = copy(batch)
        ahead.append((fed, copies.record_event()))
        if len(ahead) > 1:
            yield _use_on(model, *ahead[0])
            (done, *_), event = ahead.popleft()
            copied.append((done, event))
        while len(copied) > COPIES:
            copied.popleft()[1].synchronize()
    for fed, event in ahead:
        yield _use_on(model, fed, event)
        event.synchronize()
    for _, event in copied:
        event.synchronize()


def _use_on(model: torch.cuda.Stream, fed: Fed, copied: torch.cuda.Event) -> Fed:
    """Return a batch whose tensors work queued on `model` from now on may read."""
    model.wait_event(copied)
    _, inputs, target = fed
    for tensor in (*inputs, *(target if isinstance(target, tuple) else (target,))):
        tensor.record_stream(model)  # the allocator must not reuse this memory while work on `model` still reads it
    return fed
