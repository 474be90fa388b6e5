"""What a stream gives: one batch of samples."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt

from store.arrays import Float32Array, Int64Array, UInt8Array
from store.sparse import SparseImages

Columns = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SampleBatch:
    """A batch without its images.

    Attributes
    ----------
    label, sample, columns
        As in a `Batch`.
    """

    label: UInt8Array
    sample: Int64Array
    columns: Columns = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"SampleBatch({self.sample.size} samples{_named(self.columns)})"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Batch:
    """One batch of samples; its arrays are never overwritten, so the consumer may keep them.

    Attributes
    ----------
    image
        float32 (batch, ieta, iphi, channel), values as in the source files.
    label
        uint8 (batch,), class of each sample.
    sample
        int64 (batch,), position of each sample in the store.
    columns
        The other columns that the stream was asked for, by name, each (batch,) in the type that the store has.
    """

    image: Float32Array
    label: UInt8Array
    sample: Int64Array
    columns: Columns = field(default_factory=dict)

    def __repr__(self) -> str:
        images = f"image {self.image.dtype} {self.image.shape}"
        return f"Batch({self.sample.size} samples, {images}{_named(self.columns)})"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SparseBatch:
    """One batch of samples in sparse form; its arrays are never overwritten, so the consumer may keep them.

    Attributes
    ----------
    images
        The images, in the order of the other arrays.
    label, sample, columns
        As in a `Batch`.
    """

    images: SparseImages
    label: UInt8Array
    sample: Int64Array
    columns: Columns = field(default_factory=dict)

    def __repr__(self) -> str:
        images = f"images {self.images.shape}, {self.images.value.size} hits"
        return f"SparseBatch({self.sample.size} samples, {images}{_named(self.columns)})"


def _named(columns: Columns) -> str:
    return f", columns {', '.join(columns)}" if columns else ""
