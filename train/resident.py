"""Images that stay in the memory of a device: one split in sparse form, and what batches take from it."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from store.arrays import Int64Array, UInt8Array
from store.batch import SampleBatch, SparseBatch
from store.errors import PlanError
from store.plans.given_plan import EpochPlan
from store.plans.plan import BatchPlan
from store.plans.selected_plan import SelectedPlan
from store.sparse import SparseImages, position_type
from store.stream import BatchStream
from train.augmentation import Augmentation

READ_AT_ONCE = 4096  # maximum images per batch while a split is read
SAMPLES_AT_ONCE = 1 << 16  # of which the host looks up the rows while a GPU works on earlier ones
SPARE = 1.25  # times the hits that are expected; memory that is never written takes no room


@dataclass(frozen=True, kw_only=True, eq=False)
class SplitIndex:
    """Where the images of a split are among those in memory.

    Attributes
    ----------
    sample
        int64 (n,), position in the store of each image, ascending.
    offset
        int64 (n + 1,), see `store.sparse.SparseImages`.
    """

    sample: Int64Array
    offset: Int64Array

    def rows(self, sample: Int64Array) -> Int64Array:
        """Return the rows, int64 (m,), of samples, which are given by their positions in the store.

        Raises
        ------
        PlanError
            If the split has no such sample.
        """
        first, last = int(self.sample[0]), int(self.sample[-1])
        if last - first + 1 == self.sample.size:
            rows = sample - first
            right = sample.size == 0 or (rows.min() >= 0 and rows.max() < self.sample.size)
        else:
            rows = np.minimum(np.searchsorted(self.sample, sample), self.sample.size - 1)
            right = np.array_equal(self.sample[rows], sample)
        if not right:
            raise PlanError("the plan has samples that are not among those in memory")
        return rows


@dataclass(frozen=True, kw_only=True, eq=False)
class ResidentSplit:
    """All images of a split that a plan can draw, in sparse form.

    Attributes
    ----------
    images
        The images, in the order of the store.
    index
        Where each sample is among them.
    """

    images: SparseImages
    index: SplitIndex

    @property
    def nbytes(self) -> int:
        """Bytes of the images on a device: their hits, and the first one and the number of hits of each image."""
        return self.images.value.nbytes + self.images.position.nbytes + 2 * self.index.offset[1:].nbytes

    @classmethod
    def read(
        cls,
        plan: EpochPlan,
        stream: "BatchStream[SparseBatch]",
        *,
        hits: float = 1.0,
        limit: float = float("inf"),
        show: Callable[[int], None] = lambda images: None,
    ) -> "ResidentSplit":
        """Read a split once, in the order of the store.

        Parameters
        ----------
        plan
            Plan of the samples that are drawn; see `samples_of`.
        stream
            What `reading_stream` returned for this plan; one epoch of it is read.
        hits
            Expected number of hits per image, so that memory is reserved only once.
        limit
            Maximum size of the sparse form in bytes.
        show
            Called with the number of images of each batch that was read.

        Raises
        ------
        MemoryError
            If the images take more than `limit`.
        """
        sample, kind = samples_of(plan), position_type(stream.image_shape)
        room = int(SPARE * hits * sample.size)
        value, position = np.empty(room, np.float32), np.empty(room, kind)
        offset, images, used = np.zeros(sample.size + 1, np.int64), 0, 0
        for batch in stream:
            part = batch.images
            end = used + part.value.size
            if end * (value.itemsize + position.itemsize) + 2 * offset[1:].nbytes > limit:
                raise MemoryError
            if end > value.size:
                grown = int(SPARE * end)
                value, position = (
                    np.concatenate([array[:used], np.empty(grown - used, array.dtype)]) for array in (value, position)
                )
            value[used:end], position[used:end] = part.value, part.position
            offset[images + 1 : images + 1 + len(part)] = used + part.offset[1:]
            images, used = images + len(part), end
            show(len(part))
        return cls(
            images=SparseImages(value[:used], position[:used], offset, stream.image_shape),
            index=SplitIndex(sample=sample, offset=offset),
        )


def samples_of(plan: EpochPlan) -> Int64Array:
    """Return the positions in the store of all samples that a plan can draw in any epoch: int64 (n,), ascending."""
    return plan.position if isinstance(plan, SelectedPlan) else np.arange(plan.start, plan.stop)


def reading_stream(stream: BatchStream, memory: int, threads: int) -> "BatchStream[SparseBatch]":
    """Open a stream of all samples that another one can draw: each once, in sparse form, in the order of the store.

    Parameters
    ----------
    stream
        The other stream.
    memory
        Limit on the memory for batches, in bytes.
    threads
        Number of decoding threads.
    """
    size = max(1, min(READ_AT_ONCE, memory // (4 * 4 * int(np.prod(stream.image_shape)))))
    plan: EpochPlan = stream.plan

    def in_order(plan: BatchPlan) -> BatchPlan:
        return replace(plan, shuffle="none", rank=0, world_size=1, parts=None, epoch=0, batch_size=size)

    if isinstance(plan, SelectedPlan):
        plan = replace(plan, order=in_order(plan.order), balance=None)
    elif isinstance(plan, BatchPlan):
        plan = in_order(plan)
    else:
        raise PlanError("only the images of a split can be kept in memory, not those of a given plan")
    return BatchStream(stream.path, plan=plan, memory=memory, threads=threads, sparse=True)


@dataclass(frozen=True, kw_only=True, eq=False)
class ResidentEpoch:
    """Consecutive batches of an epoch, as rows of a `ResidentSplit`.

    Attributes
    ----------
    sample
        int64 (n,), positions in the store of the samples of all batches, in order.
    label
        uint8 (n,), their classes.
    rows
        int64 (n,), their rows in the split.
    codes
        uint8 (n,), the symmetry that augmentation applies to each, see `store.compiled.symmetries`; None without
        augmentation.
    bounds
        int64 (batches + 1,): batch i has the samples ``bounds[i]`` to ``bounds[i + 1]``.
    begin
        int64 (n + 1,), number of hits of all samples before each, so that a device need not be asked for it.
    """

    sample: Int64Array
    label: UInt8Array
    rows: Int64Array
    codes: UInt8Array | None
    bounds: Int64Array
    begin: Int64Array

    @classmethod
    def of(
        cls, index: SplitIndex, batches: Sequence[SampleBatch], augmentation: Augmentation | None, epoch: int
    ) -> "ResidentEpoch":
        """Look up the samples of batches, at least one, of an epoch."""
        sample = np.concatenate([batch.sample for batch in batches])
        rows = index.rows(sample)
        return cls(
            sample=sample,
            label=np.concatenate([batch.label for batch in batches]),
            rows=rows,
            codes=None if augmentation is None else augmentation.codes(sample, epoch),
            bounds=np.cumsum([0, *(batch.sample.size for batch in batches)]),
            begin=np.concatenate([[0], np.cumsum(index.offset[rows + 1] - index.offset[rows])]),
        )

    def __len__(self) -> int:
        """Return the number of batches."""
        return self.bounds.size - 1


def resident_epochs(index: SplitIndex, stream: BatchStream) -> Iterator[ResidentEpoch]:
    """Yield the remaining batches of a stream's epoch, 65,536 samples at once, and then move to the next epoch.

    Preparing them counts as waiting for the stream. Its position is at the end of the batches that were yielded; it
    moves to the next epoch when the last ones have been used.

    Parameters
    ----------
    index
        Of the split that the stream draws from.
    stream
        The stream, from which no images are read.

    Raises
    ------
    PlanError
        If the stream has a transform that is not an `Augmentation`, or see `BatchStream.sample_batches`.
    """
    augmentation, epoch = stream.transform, stream.epoch
    if not (augmentation is None or isinstance(augmentation, Augmentation)):
        raise PlanError("images in memory cannot be changed by any function: give the stream an Augmentation")
    left = len(stream) - stream.state_dict()["batch"]
    rest, at_once = stream.sample_batches(), max(1, SAMPLES_AT_ONCE // stream.plan.batch_size)
    while left:
        began = time.perf_counter()
        count = min(left, at_once)
        part = ResidentEpoch.of(index, list(islice(rest, count)), augmentation, epoch)
        stream.waited += time.perf_counter() - began
        yield part
        left -= count
    next(rest, None)
