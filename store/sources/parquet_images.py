"""The forms that a column of images may have in a Parquet file, and how images of each are read.

Lists of numbers are nested in the order channel, ieta, iphi, as the jets were published, or flat; Arrow's tensors of
fixed shape and a fixed number of bytes, which are little-endian float32, have the order ieta, iphi, channel; unless the
data set says where the channels are.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from store.arrays import Float32Array
from store.datasets import DatasetSpec
from store.errors import SourceError, printable
from store.sources.image_forms import arrange, check_shape, is_channel_first, row_shapes
from store.sources.parquet_columns import LISTS, is_any
from store.sources.values import as_images

VALUES = (pa.types.is_floating, pa.types.is_integer, pa.types.is_boolean)


@dataclass(frozen=True, kw_only=True)
class ImageColumn:
    """How a column holds images.

    Attributes
    ----------
    path, key
        File and name of the column.
    spec
        The data set.
    value_type
        Arrow's type of the values.
    first
        Whether channels are on the first axis.
    sizes
        Sizes that the nested lists of an image may have; empty if an image is a fixed number of bytes.
    tensor
        Arrow's type if images are tensors, otherwise None.
    """

    path: Path
    key: str
    spec: DatasetSpec
    value_type: Any
    first: bool
    sizes: tuple[tuple[int, ...], ...] = ()
    tensor: Any = None

    def images(self, column: Any, start: int) -> Float32Array:
        """Return some images as float32 (n, ieta, iphi, channel), as a view if possible.

        Parameters
        ----------
        column
            The images as Arrow's array.
        start
            Row of the first one, for messages.

        Raises
        ------
        SourceError
            If an image or value is missing, an image has another shape, or a value breaks a rule of `as_images`.
        """
        values = self._from_lists(column, start) if self.sizes else self._from_bytes(column, start)
        images = as_images(self.path, self.key, values, start, rounded=self.spec.rounded)
        return arrange(images, self.spec, self.first)

    def _from_bytes(self, column: Any, start: int) -> npt.NDArray[Any]:
        if column.null_count:
            raise self._missing(column, (len(column),), start)
        size = self.spec.sample_bytes
        values = np.frombuffer(column.buffers()[1], "<f4", offset=column.offset * size, count=len(column) * size // 4)
        return values.reshape(len(column), *row_shapes(self.spec, self.first)[0])

    def _from_lists(self, column: Any, start: int) -> npt.NDArray[Any]:
        if isinstance(column.type, pa.BaseExtensionType):
            column = column.storage
        sizes = self._sizes_in(column)
        shape = (len(column), *sizes)
        for depth, size in enumerate(sizes, 1):
            lengths = pc.list_value_length(column).to_numpy(zero_copy_only=False)  # NaN for a list that is missing
            if not np.all(lengths == size):
                if column.null_count:
                    raise self._missing(column, shape[:depth], start)
                wrong = int(np.argmin(lengths == size))
                raise self._wrong_length(_index(wrong, shape[:depth], start), int(lengths[wrong]), sizes)
            column = column.flatten()
        if column.null_count:
            raise self._missing(column, shape, start)
        values: npt.NDArray[Any] = column.to_numpy(zero_copy_only=False)
        if self.tensor is None:
            return values.reshape(shape)
        values = values.reshape(shape[0], *self.tensor.shape)
        axes = self.tensor.permutation or range(len(self.tensor.shape))
        return values.transpose(0, *(axis + 1 for axis in axes))

    def _sizes_in(self, column: Any) -> tuple[int, ...]:
        """Return the sizes that the lists of a column should have: those of its first image, if they are allowed."""
        if len(self.sizes) == 1 or not len(column):
            return self.sizes[0]
        first = []
        value = column[0]
        for _ in self.sizes[0]:
            value = getattr(value, "values", None)
            first.append(0 if value is None else len(value))
            value = value[0] if value else None
        return tuple(first) if tuple(first) in self.sizes else self.sizes[0]

    def _missing(self, column: Any, shape: tuple[int, ...], start: int) -> SourceError:
        """Return the error for the first value of a column that is missing, which has this shape in the file."""
        missing = int(np.argmin(column.is_valid().to_numpy(zero_copy_only=False)))
        return SourceError(f"{self.path}: {self.key}[{_index(missing, shape, start)}] is missing")

    def _wrong_length(self, index: str, length: int, sizes: tuple[int, ...]) -> SourceError:
        ieta, iphi, channel = self.spec.image_shape
        flat = f"{sizes[0]} values, which are an image of {ieta} x {iphi} x {channel}"
        expected = flat if len(sizes) == 1 else f"nested lists {sizes}"
        other = row_shapes(self.spec, not self.first)[0]
        may_fit = len(sizes) == 3 and "," not in index and length == other[0]
        layout = "channel-last" if self.first else "channel-first"
        advice = f'; image.layout = "{layout}" may fit, which is {other}' if may_fit else ""
        return SourceError(f"{self.path}: {self.key}[{index}] has length {length}, expected {expected}{advice}")


def find_images(path: Path, key: str, kind: Any, rows: int, spec: DatasetSpec) -> ImageColumn:
    """Return how a column holds images.

    Parameters
    ----------
    path, key
        File and name of the column.
    kind
        Arrow's type of the column.
    rows
        Number of rows, for messages.
    spec
        The data set.

    Raises
    ------
    SourceError
        If the column has another type, or images of another shape.
    """
    last = is_channel_first(spec)
    if pa.types.is_fixed_size_binary(kind):
        if kind.byte_width != spec.sample_bytes:
            raise SourceError(
                f"{path}: {key} has {kind.byte_width} bytes per row, expected {spec.sample_bytes} for float32 "
                f"{spec.image_shape}"
            )
        return ImageColumn(path=path, key=key, spec=spec, value_type=pa.float32(), first=last)
    tensor = kind if isinstance(kind, pa.FixedShapeTensorType) else None
    known, value = list_sizes(kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind)
    first = is_channel_first(spec, "channel-first") if len(known) == 3 else last
    fixed = [size for size in known if size is not None]
    sizes = tuple(shape for shape in row_shapes(spec, first) if len(shape) == len(known))
    if not is_any(value, VALUES) or not sizes:
        raise SourceError(
            f"{path}: {key} has type {printable(str(kind))}, expected numbers in nested or flat lists or Arrow tensors "
            f"of {spec.image_shape}, or {spec.sample_bytes} bytes per row (fixed_size_binary[{spec.sample_bytes}])"
        )
    if tensor is not None:
        axes = tensor.permutation or range(len(tensor.shape))
        check_shape(path, key, (rows, *(tensor.shape[axis] for axis in axes)), spec, first)
    elif len(fixed) == len(known):
        check_shape(path, key, (rows, *fixed), spec, first)
    return ImageColumn(path=path, key=key, spec=spec, value_type=value, first=first, sizes=sizes, tensor=tensor)


def list_sizes(kind: Any) -> tuple[list[int | None], Any]:
    """Return the sizes of nested lists, None for those that may differ, and the type of their values."""
    sizes: list[int | None] = []
    while is_any(kind, LISTS):
        sizes.append(kind.list_size if pa.types.is_fixed_size_list(kind) else None)
        kind = kind.value_type
    return sizes, kind


def _index(flat: int, shape: tuple[int, ...], start: int) -> str:
    """Return the indices of a value in the file, given its place among those of shape `shape` from row `start`."""
    row, *rest = (int(i) for i in np.unravel_index(flat, shape))
    return ", ".join(map(str, (start + row, *rest)))
