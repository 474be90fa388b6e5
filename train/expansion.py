"""Batches of images that are kept in sparse form in the memory of the host."""

from collections.abc import Iterator

import numpy as np

from store.arrays import Int64Array
from store.batch import Batch
from store.sparse import SparseImages
from store.stream import BatchStream
from train.augmentation import Augmentation
from train.resident import ResidentSplit, resident_epochs


def expanded_batches(split: ResidentSplit, stream: BatchStream) -> Iterator[Batch]:
    """Yield the remaining batches of a stream's epoch, bit for bit those of the stream, from a split in memory.

    Raises
    ------
    PlanError
        See `train.resident.resident_epochs`.
    """
    transform = stream.transform
    for part in resident_epochs(split.index, stream):
        for start, stop in zip(part.bounds[:-1].tolist(), part.bounds[1:].tolist(), strict=True):
            some = slice(start, stop)
            images = gather(split.images, part.rows[some])
            if part.codes is not None and isinstance(transform, Augmentation):
                transform.move(images, part.codes[some])
            image = images.to_dense(stream.buffers.take()[: stop - start])
            yield Batch(image, part.label[some], part.sample[some])
            del image  # its memory is used again once the receiver has let go of it


def gather(images: SparseImages, rows: Int64Array) -> SparseImages:
    """Return copies of some of the images, by their rows, int64 (n,)."""
    count = images.offset[rows + 1] - images.offset[rows]
    offset = np.concatenate([np.zeros(1, np.int64), np.cumsum(count)])
    # The hits of an image are consecutive: a shift takes their numbers among the copies to those among all images.
    hit = np.repeat(images.offset[rows] - offset[:-1], count) + np.arange(offset[-1])
    return SparseImages(images.value[hit], images.position[hit], offset, images.shape)
