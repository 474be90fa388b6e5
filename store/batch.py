"""What a stream gives: one batch of samples."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt

from store.arrays import Float32Array, Int64Array, UInt8Array


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
    columns: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)

    def __repr__(self) -> str:
        columns = f", columns {', '.join(self.columns)}" if self.columns else ""
        return f"Batch({self.sample.size} samples, image {self.image.dtype} {self.image.shape}{columns})"
