"""What every source file provides, whatever its format."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy.typing as npt

from store.arrays import Float32Array, UInt8Array, VariableArray
from store.datasets import DatasetSpec
from store.locations import Url


class Source(Protocol):
    """A file of images; picklable, and safe to read from several threads."""

    @property
    def spec(self) -> DatasetSpec:
        """What the file must hold: names, shape, classes, and the variables that are read."""

    @property
    def path(self) -> Path:
        """The file; of one at a URL, its copy on this machine."""

    @property
    def url(self) -> Url | None:
        """Where `path` was copied from, or None; `store.sources.copies.here` gives the source on another machine."""

    @property
    def stamp(self) -> int:
        """Time of the last change of the file when it was opened, in nanoseconds; all copies of a URL have the same."""

    @property
    def rows(self) -> int:
        """Number of images."""

    @property
    def block(self) -> int:
        """Rows of the largest part that is decompressed as a whole: see `pieces`."""

    @property
    def other_files(self) -> tuple[Path, ...]:
        """Files, besides `path`, that hold a part of the images or columns: HDF5 can refer to other files."""

    @property
    def stored_bytes(self) -> int:
        """Size of the images in the file, as they are stored there, in bytes."""

    @property
    def reading_bytes(self) -> int:
        """Memory that `pieces` needs, with the piece that it yielded last, in bytes.

        Raises
        ------
        SourceError
            If this machine has less, or the file is damaged.
        """

    @property
    def simulated(self) -> str:
        """Name of the simulation that made the images, or an empty string."""

    @property
    def note(self) -> str:
        """What the user should know about how the file is read, or an empty string."""

    @property
    def unread(self) -> tuple[str, ...]:
        """Names of what the file holds besides the images, labels and variables of `spec`."""

    @property
    def labelled(self) -> bool:
        """Whether classes are known; always true unless the file was opened with ``require_labels=False``."""

    def labels(self) -> UInt8Array:
        """Return the class of every row, uint8 (rows,).

        Raises
        ------
        SourceError
            If there are no labels, a label stands for no class, or for another than the user says the file has.
        """

    def weights(self) -> Float32Array | None:
        """Return the weight of every row, float32 (rows,), or None if the data set has no weights.

        Raises
        ------
        SourceError
            If there are no weights, or one is negative or not finite.
        """

    def variables(self) -> dict[str, VariableArray]:
        """Return the variables of `spec` by name, (rows,): integers as int64, other numbers rounded to float32.

        Raises
        ------
        SourceError
            If a number is not finite in float32, or an integer is outside int64.
        """

    def has(self, key: str) -> bool:
        """Return whether the file has a column or dataset of that name."""

    def column(self, key: str) -> npt.NDArray[Any]:
        """Return a column of numbers as the file has it, (rows,).

        Raises
        ------
        SourceError
            If there is no such column, or it has no numbers.
        """

    def read(self, start: int, stop: int) -> Float32Array:
        """Return the images of rows [start, stop), float32 (stop - start, ieta, iphi, channel).

        Raises
        ------
        SourceError
            If a value is not finite, or float32 cannot hold it exactly.
        OSError
            If the file cannot be read.
        """

    def pieces(self, start: int, stop: int) -> Iterator[Float32Array]:
        """Yield the images of rows [start, stop) in order, a few at a time, as it suits the file.

        Nothing is decompressed twice if `start` is a multiple of `block`.

        Yields
        ------
        numpy.ndarray
            float32 (n, ieta, iphi, channel), C-contiguous.

        Raises
        ------
        SourceError, OSError
            As `read`.
        """

    def scan(self, rows: int) -> Iterator[Float32Array]:
        """Yield all images in order, `rows` at a time, without decompressing anything twice.

        Yields
        ------
        numpy.ndarray
            float32 (rows, ieta, iphi, channel), C-contiguous; the last one may be shorter.

        Raises
        ------
        SourceError, OSError
            As `read`.
        """
