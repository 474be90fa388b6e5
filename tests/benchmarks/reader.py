"""What a module in `own` or `peers` offers to the benchmark of the stream.

Such a module has a dictionary ``READERS`` of `Reader`; if it keeps its images in its own format, a function
``write(place)``; and if it is too slow for all images, ``MOST``, how many of them it gets.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks.images import Images


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a reader finds its images.

    Attributes
    ----------
    store
        The store; its first images are `images`.
    folder
        For files of the reader's own.
    images
        What it has to deliver.
    batch
        Images a batch.
    """

    store: Path
    folder: Path
    images: Images
    batch: int


@dataclass(frozen=True, kw_only=True)
class Reader:
    """A way to get shuffled batches.

    Attributes
    ----------
    open
        Opens the images and returns a function that begins epoch 0, 1, ...: an iterable of float32 batches, as numpy
        arrays or tensors on the CPU.
    shuffling
        What is shuffled, in words.
    full
        Whether any permutation of all images can come up.
    """

    open: Callable[[Place], Callable[[int], Iterable[Any]]]
    shuffling: str
    full: bool = False
