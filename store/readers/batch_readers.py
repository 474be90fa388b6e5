"""From positions to batches: the images of a batch read at once, or in sparse form, a few at a time."""

from collections.abc import Callable
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from store.arrays import Int64Array
from store.batch import Batch, SampleBatch, SparseBatch
from store.buffers import BufferPool
from store.compiled.preparation import prepare_sparse
from store.compiled.sparse import SLACK, extract_hits
from store.readers.sample_reader import SampleReader
from store.scratch import scratch
from store.sparse import PositionArray, SparseImages, position_type

Read = TypeVar("Read", covariant=True)
UInt32Array = npt.NDArray[np.uint32]
Transform = Callable[[Batch, int], None]
PIECE = 4 << 20  # bytes of dense images at a time: they stay in the processor's cache
FIRST_SHARE = 1 / 16  # of the cells that are hits, with which the first buffers reckon
MORE = 1.25  # room of larger buffers, relative to what was needed so far


class BatchReader(Protocol[Read]):
    """Reads batches; safe to use from several threads at once.

    Attributes
    ----------
    batch_bytes
        The most bytes that a batch needs.
    buffers
        Pool from which batches take their memory.
    """

    batch_bytes: int
    buffers: BufferPool

    def read(self, samples: SampleBatch, epoch: int) -> Read:
        """Return the batch of some samples, with the images as the transform of the stream leaves them in an epoch."""


class DenseReader:
    """Reads dense batches: each image is decoded directly into its row.

    Parameters
    ----------
    reader
        Reads the images.
    transform
        Function that changes the images of a batch in place, if any.
    shape
        (batch, ieta, iphi, channel) of the largest batch.
    """

    def __init__(self, reader: SampleReader, transform: Transform | None, shape: tuple[int, ...]) -> None:
        self.batch_bytes = 4 * int(np.prod(shape))
        self.buffers = BufferPool(shape)
        self._reader, self._transform = reader, transform

    def read(self, samples: SampleBatch, epoch: int) -> Batch:
        """See `BatchReader.read`."""
        image = self.buffers.take()[: samples.sample.size]
        self._reader.read(samples.sample, image)
        batch = Batch(image, samples.label, samples.sample, samples.columns)
        if self._transform is not None:
            self._transform(batch, epoch)
        return batch


class SparseReader:
    """Reads sparse batches: a few images at a time are decoded, transformed, and searched for hits.

    Values and positions of a batch share a buffer. Buffers are as large as the batches so far needed. A batch that
    needs more is read anew into a larger buffer, so that there are never two of them for one batch.

    Parameters
    ----------
    reader, transform, shape
        As for `DenseReader`. The transform gets a part of a batch at a time.
    """

    def __init__(self, reader: SampleReader, transform: Transform | None, shape: tuple[int, ...]) -> None:
        prepare_sparse()
        count, *image = shape
        self._image = tuple(image)
        self._cells = int(np.prod(image))
        self._position = np.dtype(position_type(self._image))
        self._most = count * self._cells
        self.batch_bytes = 4 * self._words(self._most) + 8 * (count + 1)
        self.buffers = BufferPool((self._words(int(self._most * FIRST_SHARE)),))
        self._reader, self._transform = reader, transform

    def _words(self, hits: int) -> int:
        """Return how many float32 a buffer for so many hits has."""
        return -(-(hits + SLACK) * (4 + self._position.itemsize) // 4)

    def read(self, samples: SampleBatch, epoch: int) -> SparseBatch:
        """See `BatchReader.read`."""
        while True:
            buffer = self.buffers.take()
            room = 4 * buffer.size // (4 + self._position.itemsize)
            value, position = buffer[:room], buffer[room:].view(self._position)
            offset = np.zeros(samples.sample.size + 1, np.int64)
            done = self._fill(samples, epoch, value.view(np.uint32), position[:room], offset)
            hits = int(offset[done])
            if done == samples.sample.size:
                images = SparseImages(value[:hits], position[:hits], offset, self._image)
                return SparseBatch(images, samples.label, samples.sample, samples.columns)
            del buffer, value, position
            needed = MORE * max(hits * samples.sample.size / max(1, done), room)
            self.buffers.grow((self._words(min(int(needed), self._most)),))

    def _fill(
        self, samples: SampleBatch, epoch: int, value: UInt32Array, position: PositionArray, offset: Int64Array
    ) -> int:
        """Read images until they are all read or the next has no room; return how many were read."""
        size = samples.sample.size
        step = min(size, max(1, PIECE // (4 * self._cells)))
        with scratch(4 * self._cells * step) as memory:
            images = memory.view(np.float32).reshape(step, *self._image)
            for start in range(0, size, step):
                part = slice(start, min(size, start + step))
                image = images[: part.stop - start]
                self._reader.read(samples.sample[part], image)
                if self._transform is not None:
                    columns = {name: values[part] for name, values in samples.columns.items()}
                    self._transform(Batch(image, samples.label[part], samples.sample[part], columns), epoch)
                bits = image.view(np.uint32).reshape(len(image), self._cells)
                done: int = extract_hits(bits, value, position, offset[start : part.stop + 1])
                if done < len(image):
                    return start + done
        return size
