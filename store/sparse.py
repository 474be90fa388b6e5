"""The sparse form of images: the values of their non-zero cells, and where these are."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from store.arrays import Float32Array, Int64Array

FEW_CELLS = 1 << 16  # of an image whose positions are 16-bit numbers
PositionArray = npt.NDArray[np.uint16 | np.uint32]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SparseImages:
    """Images as the values of their non-zero cells, bit for bit the same as dense ones.

    Image i has the hits ``offset[i]`` to ``offset[i + 1]``, in ascending position. A cell is a hit unless all 32 bits
    of its value are zero, so that -0.0 and NaN are kept.

    Attributes
    ----------
    value
        float32 (hit,), values as in the source files.
    position
        uint16 (hit,), or uint32 for images of more than 65,536 cells: cell of each hit in its image,
        ``(ieta * columns + iphi) * channels + channel`` for images of the shape (rows, columns, channels).
    offset
        int64 (n + 1,), from 0 to the number of hits.
    shape
        Shape of each image, (ieta, iphi, channel).

    Raises
    ------
    ValueError
        If an array has another type or shape, or the offsets do not begin at 0 and end at the number of hits.

    Examples
    --------
    >>> dense = np.zeros((2, 3, 3, 1), np.float32)
    >>> dense[1, 2, 0, 0] = 5
    >>> sparse = cs.SparseImages.of(dense)
    >>> sparse.value, sparse.position, sparse.offset
    (array([5.], dtype=float32), array([6], dtype=uint16), array([0, 0, 1]))
    """

    value: Float32Array
    position: PositionArray
    offset: Int64Array
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        arrays = {
            "value": (self.value, np.float32),
            "position": (self.position, position_type(self.shape)),
            "offset": (self.offset, np.int64),
        }
        for name, (array, dtype) in arrays.items():
            if array.dtype != dtype or array.ndim != 1:
                raise ValueError(f"{name} must be {np.dtype(dtype)} (n,), got {array.dtype} {array.shape}")
        hits, last = self.value.size, self.offset[-1] if self.offset.size else None
        if self.position.size != hits or last != hits or self.offset[0] != 0:
            raise ValueError(
                f"value has {hits} hits, position {self.position.size}, and offset must be from 0 to {hits}, got "
                f"{self.offset[:1]} to {last}"
            )

    @classmethod
    def of(cls, images: Float32Array) -> Self:
        """Return the sparse form of dense images.

        Parameters
        ----------
        images
            float32 (n, ieta, iphi, channel), or any other number of axes.

        Raises
        ------
        ValueError
            If they have another type, or are a single number each.
        """
        from store.compiled.preparation import prepare_sparse
        from store.compiled.sparse import SLACK, count_hits, extract_hits

        if images.dtype != np.float32 or images.ndim < 2:
            raise ValueError(f"images must be float32 (n, ieta, iphi, channel), got {images.dtype} {images.shape}")
        prepare_sparse()
        shape = images.shape[1:]
        bits = np.ascontiguousarray(images).view(np.uint32).reshape(images.shape[0], int(np.prod(shape)))
        offset = np.empty(images.shape[0] + 1, np.int64)
        count_hits(bits, offset)
        hits = int(offset[-1])
        value, position = np.empty(hits + SLACK, np.uint32), np.empty(hits + SLACK, position_type(shape))
        extract_hits(bits, value, position, offset)
        return cls(value[:hits].view(np.float32), position[:hits], offset, shape)

    def __len__(self) -> int:
        """Return the number of images."""
        return self.offset.size - 1

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return self.value.nbytes + self.position.nbytes + self.offset.nbytes

    def to_dense(self, out: Float32Array | None = None) -> Float32Array:
        """Return the images in dense form, float32 (n, ieta, iphi, channel).

        Parameters
        ----------
        out
            Array of this shape, C-contiguous, that is overwritten and returned.

        Raises
        ------
        ValueError
            If `out` has another type or shape, or an image has wrong offsets or positions.
        """
        from store.compiled.preparation import prepare_sparse
        from store.compiled.sparse import expand_hits

        prepare_sparse()
        shape = (len(self), *self.shape)
        if out is None:
            out = np.empty(shape, np.float32)
        if out.dtype != np.float32 or out.shape != shape or not out.flags.c_contiguous:
            raise ValueError(f"out must be C-contiguous float32 {shape}, got {out.dtype} {out.shape}")
        bits = out.view(np.uint32).reshape(len(self), int(np.prod(self.shape)))
        written = expand_hits(np.ascontiguousarray(self.value).view(np.uint32), self.position, self.offset, bits)
        if written < len(self):
            raise ValueError(f"image {written} has offsets that do not ascend, or a position outside of {self.shape}")
        return out

    def __repr__(self) -> str:
        return f"SparseImages({len(self)} images {self.shape}, {self.value.size} hits)"


def position_type(shape: tuple[int, ...]) -> type[np.uint16] | type[np.uint32]:
    """Return the type of the positions in images of a shape.

    Raises
    ------
    ValueError
        If 32 bits are not enough.
    """
    cells = int(np.prod(shape))
    if cells > 1 << 32:
        raise ValueError(f"images {shape} have more than 2^32 cells")
    return np.uint16 if cells <= FEW_CELLS else np.uint32
