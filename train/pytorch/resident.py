"""Sparse images on a PyTorch device: expanding them, and a whole split that stays there."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from store.arrays import Float32Array
from store.batch import SampleBatch
from store.sparse import SparseImages
from store.stream import BatchStream
from train.augmentation import Augmentation
from train.resident import ResidentSplit, resident_epochs

EXPANDED_BYTES = 64 << 20  # of images that a GPU expands at once, so that it need not be told to for each small batch
SIGNED = {np.dtype(np.uint16): np.int16, np.dtype(np.uint32): np.int32}
"""For each type of positions, the one with the same bits that all operations of PyTorch have."""

Inputs = tuple[Tensor, ...]
Target = Tensor | tuple[Tensor, ...]
"""Labels (batch,), or labels and the columns of `train.weighting.loss_columns`."""


def to_device(array: npt.NDArray[np.generic], device: torch.device) -> Tensor:
    """Return an array as a tensor on a device, for a GPU by an asynchronous copy from pinned memory.

    On the CPU it shares the array's memory. The pinned memory is reused by PyTorch once the copy has ended.
    """
    tensor = torch.from_numpy(array)
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def as_target(tensors: Iterable[Tensor]) -> Target:
    """Return the labels, or a tuple of labels and the columns of `train.weighting.loss_columns`."""
    label, *columns = tensors
    return (label, *columns) if columns else label


def signed_positions(images: SparseImages) -> npt.NDArray[np.int16] | npt.NDArray[np.int32]:
    """Return the positions of images with the bits that they have, but as signed numbers: int16 or int32 (hit,)."""
    return images.position.view(SIGNED[images.position.dtype])


def expand(
    value: Tensor,
    position: Tensor,
    hits: Tensor,
    shape: tuple[int, ...],
    symmetries: tuple[Tensor, Tensor] | None = None,
    image: Tensor | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """Return dense images, float32 (n, ieta, iphi, channel), without waiting for the device.

    Parameters
    ----------
    value
        float32 (hit,), values of all images.
    position
        int16 or int32 (hit,), see `signed_positions`.
    hits
        int64 (n,), number of hits of each image.
    shape
        Shape of each image.
    symmetries
        What `train.augmentation.Augmentation.moves` returned, as int64 (8 * cell,), and the code of each image, uint8
        (n,). None leaves the images as they are.
    image
        int64 (hit,), number of the image of each hit, if it is already known.
    out
        float32 (n, ieta, iphi, channel), contiguous, that is overwritten and returned; new memory by default.
    """
    cells = int(np.prod(shape))
    if image is None:
        image = torch.repeat_interleave(hits, output_size=len(value))
    cell = position.to(torch.int64) & (0xFFFF if position.dtype == torch.int16 else 0xFFFFFFFF)
    if symmetries is not None:
        moves, code = symmetries
        cell = moves.index_select(0, cell + (cells * code.to(torch.int64)).index_select(0, image))
    dense = value.new_zeros(len(hits) * cells) if out is None else out.view(-1).zero_()
    return dense.scatter_(0, cell + cells * image, value).view(len(hits), *shape)


def expands_together(device: torch.device) -> bool:
    """Return whether several batches are expanded at once; on the CPU, one batch stays in the processor's cache."""
    return device.type != "cpu"


class ResidentImages:
    """All images of a split in the memory of a device, with labels, variables, and the columns of the loss.

    Parameters
    ----------
    split
        The images.
    device
        The device. On the CPU, memory is shared.
    variables, columns
        Those of all samples of the store, see `train.variables.read_variables` and `train.weighting.loss_columns`.
    """

    def __init__(
        self,
        split: ResidentSplit,
        device: torch.device,
        variables: Float32Array | None,
        columns: Sequence[Float32Array] = (),
    ) -> None:
        images, sample = split.images, split.index.sample
        self._index, self._device, self._shape = split.index, device, images.shape
        self._value = torch.from_numpy(images.value).to(device)
        self._position = torch.from_numpy(signed_positions(images)).to(device)
        self._first = torch.from_numpy(images.offset[:-1]).to(device)
        self._hits = torch.from_numpy(np.diff(images.offset)).to(device)
        self._variables = None if variables is None else torch.from_numpy(variables[sample]).to(device)
        self._columns = [torch.from_numpy(column[sample]).to(device) for column in columns]
        self._moves: Tensor | None = None
        self._augmentation: Augmentation | None = None

    def __call__(self, stream: BatchStream) -> Iterator[tuple[SampleBatch, Inputs, Target]]:
        """Yield each batch with the model's inputs and targets, as `train.pytorch.feed.Feed` does.

        The host looks up the rows of many samples at once, and a GPU expands several small batches at once; the tensors
        of a batch are then parts of larger ones. All of it is queued on the current CUDA stream.
        """
        batch_size, image_bytes = stream.plan.batch_size, 4 * int(np.prod(self._shape))
        together = max(1, EXPANDED_BYTES // (image_bytes * batch_size)) if expands_together(self._device) else 1
        reuses = self._device.type == "cpu" and together == 1 and not stream.sparse
        for part in resident_epochs(self._index, stream):
            rows, label = to_device(part.rows, self._device), to_device(part.label, self._device)
            code = None if part.codes is None else to_device(part.codes, self._device)
            for first in range(0, len(part), together):
                bounds = part.bounds[first : first + together + 1].tolist()
                chosen = slice(bounds[0], bounds[-1])
                hits = int(part.begin[bounds[-1]] - part.begin[bounds[0]])
                # On the CPU, new memory would cost a page fault per page in every batch.
                out = torch.from_numpy(stream.buffers.take()[: len(rows[chosen])]) if reuses else None
                inputs = self._gather(rows[chosen], hits, self._symmetries(stream.transform, code, chosen), out)
                del out
                targets = [label[chosen], *(column.index_select(0, rows[chosen]) for column in self._columns)]
                for start, stop in pairwise(bounds):
                    of_batch = slice(start - bounds[0], stop - bounds[0])
                    batch = SampleBatch(part.label[start:stop], part.sample[start:stop])
                    yield (
                        batch,
                        tuple(tensor[of_batch] for tensor in inputs),
                        as_target(tensor[of_batch] for tensor in targets),
                    )

    def _gather(self, rows: Tensor, hits: int, symmetries: tuple[Tensor, Tensor] | None, out: Tensor | None) -> Inputs:
        """Return the inputs for some rows, int64 (n,), which have this number of hits together."""
        count = self._hits.index_select(0, rows)
        image = torch.repeat_interleave(count, output_size=hits)
        # The hits of an image are consecutive: a shift takes their numbers in the batch to those in the split.
        shift = self._first.index_select(0, rows) - count.cumsum(0) + count
        hit = torch.arange(hits, device=self._device) + shift.index_select(0, image)
        value, position = self._value.index_select(0, hit), self._position.index_select(0, hit)
        images = expand(value, position, count, self._shape, symmetries, image, out)
        return (images,) if self._variables is None else (images, self._variables.index_select(0, rows))

    def _symmetries(self, augmentation: object, code: Tensor | None, chosen: slice) -> tuple[Tensor, Tensor] | None:
        if code is None or not isinstance(augmentation, Augmentation):
            return None
        if self._augmentation != augmentation:
            self._augmentation, self._moves = augmentation, to_device(augmentation.moves().ravel(), self._device)
        assert self._moves is not None
        return self._moves, code[chosen]
