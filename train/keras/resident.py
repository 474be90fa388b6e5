"""A whole split in the memory of TensorFlow's devices, and the batches that are made of it there."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from store.arrays import Float32Array, Int64Array
from store.sparse import SparseImages
from store.stream import BatchStream
from train.augmentation import Augmentation
from train.backend import Steps
from train.resident import SAMPLES_AT_ONCE, ResidentSplit, resident_epochs

Inputs = tuple[tf.Tensor, ...]


class Held(NamedTuple):
    """A split in the memory of one device.

    Attributes
    ----------
    hit
        int64 (hit,): the bits of the value, and 2^32 times the position. TensorFlow's kernels for GPUs gather 64-bit
        integers, but none of 16 bits, and keep 32-bit integers on the host.
    offset
        int64 (image + 1,), see `store.sparse.SparseImages`.
    moves
        int64 (8 * cell,), see `train.augmentation.Augmentation.moves`; empty without augmentation.
    variables
        float32 (image, variable), or empty.
    longest
        int64 (longest,): 0, 1, ... up to the hits of the image that has most.
    """

    hit: tf.Tensor
    offset: tf.Tensor
    moves: tf.Tensor
    variables: tf.Tensor
    longest: tf.Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class HeldInputs:
    """The inputs of a model for some samples of a split that is held.

    Attributes
    ----------
    held
        The split, on each of the devices.
    parts
        ``(rows,)``, or ``(rows, codes)`` with augmentation: int64 (n,), see `train.resident.ResidentEpoch`.
    """

    held: tuple[Held, ...]
    parts: Inputs


def split_inputs(inputs: Inputs | HeldInputs) -> tuple[Inputs, tuple[Held, ...]]:
    """Return the tensors that have a row per sample, and the images that are held, if the inputs are of these."""
    return (inputs.parts, inputs.held) if isinstance(inputs, HeldInputs) else (tuple(inputs), ())


def expand(held: Held, shape: tuple[int, ...], row: tf.Tensor, code: tf.Tensor | None = None) -> Inputs:
    """Return the inputs of a model, bit for bit those that a stream gives, within a ``tf.function``.

    All images get as many hits as the one that has most, by repeating their last hit: shapes depend on no values, for
    which the host would have to wait, and XLA can compile them. What is repeated is written to the same cell again.

    Parameters
    ----------
    held
        The split.
    shape
        Shape of the images.
    row
        int64 (n,), rows in the split.
    code
        int64 (n,), symmetry of each image.
    """
    cells, samples = int(np.prod(shape)), tf.shape(row, tf.int64)[0]
    start, stop = tf.gather(held.offset, row)[:, None], tf.gather(held.offset, row + 1)[:, None]
    hit = tf.gather(held.hit, tf.maximum(tf.minimum(start + held.longest, stop - 1), 0))
    cell, value = tf.bitwise.right_shift(hit, np.int64(32)), tf.bitcast(hit, tf.float32)[..., 0]
    # An image without hits has read one of another image: it writes a zero to a cell of its own.
    value = tf.where(start < stop, value, tf.zeros_like(value))
    if code is not None:
        cell = tf.gather(held.moves, cell + cells * code[:, None])
    cell += cells * tf.range(samples)[:, None]
    # Unlike scatter_nd, this does not add to zeros, which would turn -0.0 into 0.0.
    dense = tf.tensor_scatter_nd_update(tf.zeros([samples * cells]), tf.reshape(cell, [-1, 1]), tf.reshape(value, [-1]))
    image = tf.reshape(dense, [-1, *shape])
    return (image,) if held.variables.shape[1] == 0 else (image, tf.gather(held.variables, row))


class ResidentImages:
    """All images of a split in the memory of the devices, with weights and variables.

    Parameters
    ----------
    split
        The images.
    devices
        Names of the devices, each of which gets all of them.
    variables, weights
        Those of all samples of the store, see `train.variables.read_variables` and `train.weighting.read_weights`.
    """

    def __init__(
        self,
        split: ResidentSplit,
        devices: Sequence[str],
        variables: Float32Array | None,
        weights: Float32Array | None,
    ) -> None:
        sample, images = split.index.sample, split.images
        self._index, self._devices = split.index, devices
        self._weights = None if weights is None else weights[sample]
        chosen = np.empty((1, 0), np.float32) if variables is None else variables[sample]
        longest = np.arange(max(1, int(np.diff(images.offset).max(initial=1))))
        arrays = pack(images), images.offset, np.empty(0, np.int64), chosen, longest
        self.held = tuple(Held(*(to_device(array, device) for array in arrays)) for device in devices)
        self._augmentation: Augmentation | None = None

    def feed(self, stream: BatchStream, together: int) -> Iterator[Steps]:
        """Yield the remaining batches of an epoch, some of the same size together."""
        batch_size = stream.plan.batch_size
        for part in resident_epochs(self._index, stream, max(1, SAMPLES_AT_ONCE // batch_size)):
            # On the first device alone; others get their parts of each batch from there.
            arrays: list[npt.NDArray[Any]] = [part.rows, part.label.astype(np.int64)]
            arrays += [] if self._weights is None else [self._weights[part.rows]]
            arrays += [] if part.codes is None else [part.codes.astype(np.int64)]
            tensors = [to_device(array, self._devices[0]) for array in arrays]
            if isinstance(stream.transform, Augmentation):
                self._move(stream.transform)
            for first, last in calls(np.diff(part.bounds), together):
                some = slice(int(part.bounds[first]), int(part.bounds[last]))
                row, label, *others = (tensor[some] for tensor in tensors)
                weight = [] if self._weights is None else others[:1]
                code = [] if part.codes is None else others[-1:]
                yield Steps(
                    sample=part.sample[some],
                    label=part.label[some],
                    count=last - first,
                    inputs=HeldInputs(held=self.held, parts=(row, *code)),
                    target=(label, *weight) if weight else label,
                )

    def _move(self, augmentation: Augmentation) -> None:
        """Keep what the symmetries of an augmentation do to positions."""
        if augmentation != self._augmentation:
            moves = augmentation.moves().ravel()
            self.held = tuple(
                held._replace(moves=to_device(moves, device))
                for held, device in zip(self.held, self._devices, strict=True)
            )
            self._augmentation = augmentation


def calls(sizes: npt.NDArray[np.integer], together: int) -> Iterator[tuple[int, int]]:
    """Yield (first, last + 1) of the batches of each call: consecutive ones of the same size, at most some together."""
    changes = [*(np.flatnonzero(np.diff(sizes)) + 1).tolist(), len(sizes)]
    for begin, end in pairwise([0, *changes]):
        for first in range(begin, end, together):
            yield first, min(first + together, end)


def pack(images: SparseImages) -> Int64Array:
    """Return int64 (hit,) of the bits of each value and 2^32 times its position; at least one number."""
    packed = images.position.astype(np.uint64) << np.uint64(32)
    packed |= images.value.view(np.uint32)
    return packed.view(np.int64) if packed.size else np.zeros(1, np.int64)


def to_device(array: npt.NDArray[np.generic], device: str) -> tf.Tensor:
    """Return a copy of an array as a tensor on a device, once it has been copied."""
    with tf.device("/device:CPU:0"):
        on_host = tf.constant(array)
    with tf.device(device):
        return tf.identity(on_host)
