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
from train.resident import ResidentSplit, resident_epochs

STEPS = 16  # sizes per power of two that numbers of hits are rounded up to

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
    number
        int64 (size,): 0, 1, ... for at least as many hits as some samples have together.
    """

    hit: tf.Tensor
    offset: tf.Tensor
    moves: tf.Tensor
    variables: tf.Tensor
    number: tf.Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class HeldInputs:
    """The inputs of a model for some samples of a split that is held.

    Attributes
    ----------
    held
        The split, on each of the devices.
    parts
        ``(rows, begin)``, with augmentation ``(rows, begin, codes)``, int64 (n,); see `train.resident.ResidentEpoch`.
    begin
        int64 (n + 1,), on the host.
    """

    held: tuple[Held, ...]
    parts: Inputs
    begin: Int64Array

    def numbered(self, batches: int) -> tuple[Held, ...]:
        """Return the split with a number for each hit that a device gets of one of these batches, and few more."""
        size, devices = (self.begin.size - 1) // batches, len(self.held)
        parts = min(size, devices)
        bounds = size * np.arange(batches)[:, None] + size * np.arange(parts + 1) // parts
        hits = round_up(int(np.diff(self.begin[bounds]).max()))
        return tuple(held._replace(number=held.number[:hits]) for held in self.held)


def round_up(hits: int) -> int:
    """Return a number of hits, at least one, that is at most a sixteenth larger: XLA compiles few different ones."""
    step = max(1, (1 << hits.bit_length()) // (2 * STEPS))
    return max(1, -(-hits // step) * step)


def split_inputs(inputs: Inputs | HeldInputs, batches: int = 1) -> tuple[Inputs, tuple[Held, ...]]:
    """Return the tensors that have a row per sample, and the images that are held, if the inputs are of these.

    The samples are those of some batches of the same size, which are expanded one by one.
    """
    return (inputs.parts, inputs.numbered(batches)) if isinstance(inputs, HeldInputs) else (tuple(inputs), ())


def expand(
    held: Held, shape: tuple[int, ...], row: tf.Tensor, begin: tf.Tensor, code: tf.Tensor | None = None
) -> Inputs:
    """Return the inputs of a model, bit for bit those that a stream gives, within a ``tf.function``.

    Shapes depend on no values, for which the host would have to wait: the host knows how many hits there are, and gives
    as many numbers or some more. Those in excess repeat the last hit, and write it to the same cell again.

    Parameters
    ----------
    held
        The split.
    shape
        Shape of the images.
    row
        int64 (n,), rows in the split.
    begin
        int64 (n,), number of hits before each of these, counted from any sample.
    code
        int64 (n,), symmetry of each image.
    """
    cells, samples = int(np.prod(shape)), tf.shape(row, tf.int64)[0]
    start, begin = tf.gather(held.offset, row), begin - begin[0]
    end = begin + tf.gather(held.offset, row + 1) - start
    number = tf.minimum(held.number, end[-1] - 1)
    image = tf.searchsorted(end, number, side="right", out_type=tf.int64)
    # The hits of an image are consecutive: a shift takes their numbers among these to those in the split.
    hit = tf.gather(held.hit, tf.maximum(number + tf.gather(start - begin, image), 0))
    cell, value = tf.bitwise.right_shift(hit, np.int64(32)), tf.bitcast(hit, tf.float32)[..., 0]
    # Samples without any hit have read one of another image, and write a zero.
    value = tf.where(number >= 0, value, tf.zeros_like(value))
    if code is not None:
        cell = tf.gather(held.moves, cell + tf.gather(cells * code, image))
    cell += cells * image
    # Unlike scatter_nd, this does not add to zeros, which would turn -0.0 into 0.0.
    dense = tf.tensor_scatter_nd_update(tf.zeros([samples * cells]), cell[:, None], value)
    image = tf.reshape(dense, [-1, *shape])
    return (image,) if held.variables.shape[1] == 0 else (image, tf.gather(held.variables, row))


class ResidentImages:
    """All images of a split in the memory of the devices, with variables, and the columns of the loss.

    Parameters
    ----------
    split
        The images.
    devices
        Names of the devices, each of which gets all of them.
    variables, columns
        Those of all samples of the store, see `train.variables.read_variables` and `train.weighting.loss_columns`.
    """

    def __init__(
        self,
        split: ResidentSplit,
        devices: Sequence[str],
        variables: Float32Array | None,
        columns: Sequence[Float32Array] = (),
    ) -> None:
        sample, images = split.index.sample, split.images
        self._index, self._devices = split.index, devices
        self._columns = [column[sample] for column in columns]
        chosen = np.empty((1, 0), np.float32) if variables is None else variables[sample]
        arrays = pack(images), images.offset, np.empty(0, np.int64), chosen, np.arange(1)
        self.held = tuple(Held(*(to_device(array, device) for array in arrays)) for device in devices)
        self._augmentation: Augmentation | None = None

    def feed(self, stream: BatchStream, together: int) -> Iterator[Steps]:
        """Yield the remaining batches of an epoch, some of the same size together."""
        for part in resident_epochs(self._index, stream):
            # On the first device alone; others get their parts of each batch from there.
            arrays: list[npt.NDArray[Any]] = [part.label.astype(np.int64)]
            arrays += [column[part.rows] for column in self._columns]
            arrays += [part.rows, part.begin[:-1], *([] if part.codes is None else [part.codes.astype(np.int64)])]
            tensors = [to_device(array, self._devices[0]) for array in arrays]
            if isinstance(stream.transform, Augmentation):
                self._move(stream.transform)
            targets = 1 + len(self._columns)
            for first, last in calls(np.diff(part.bounds), together):
                start, stop = int(part.bounds[first]), int(part.bounds[last])
                self._count(int(part.begin[stop] - part.begin[start]))
                some = tuple(tensor[start:stop] for tensor in tensors)
                yield Steps(
                    sample=part.sample[start:stop],
                    label=part.label[start:stop],
                    count=last - first,
                    inputs=HeldInputs(held=self.held, parts=some[targets:], begin=part.begin[start : stop + 1]),
                    target=some[:targets] if targets > 1 else some[0],
                )

    def _count(self, hits: int) -> None:
        """Keep numbers for at least this many hits."""
        if (size := round_up(hits)) > len(self.held[0].number):
            self._keep("number", np.arange(size))

    def _move(self, augmentation: Augmentation) -> None:
        """Keep what the symmetries of an augmentation do to positions."""
        if augmentation != self._augmentation:
            self._keep("moves", augmentation.moves().ravel())
            self._augmentation = augmentation

    def _keep(self, name: str, array: Int64Array) -> None:
        """Keep another array on all devices."""
        self.held = tuple(
            held._replace(**{name: to_device(array, device)})
            for held, device in zip(self.held, self._devices, strict=True)
        )


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
