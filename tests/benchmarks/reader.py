"""The interface of the modules in `own`, `peers` and `over_link`, whose readers the benchmarks measure.

Each module has a dictionary ``READERS`` of `Reader`. A module with a file format of its own has a function
``write(place)`` too, and one that is too slow for all images has ``MOST``, the largest number of images it is given.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks.images import Images


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a reader finds its images, and how it should deliver them.

    Attributes
    ----------
    store
        The store; it begins with `images`.
    folder
        Folder for the reader's own files.
    images
        The images to deliver.
    batch
        Images per batch.
    """

    store: Path
    folder: Path
    images: Images
    batch: int


@dataclass(frozen=True, kw_only=True)
class RemotePlace(Place):
    """A place whose folder is read over HTTP.

    Attributes
    ----------
    address
        Address of the server: each file or folder beside `folder` is directly below it, as is `store`.
    cache
        Folder for copies; it does not exist yet.
    cache_bytes
        Bound on the copies, or None.
    """

    address: str
    cache: Path
    cache_bytes: int | None = None


@dataclass(frozen=True, kw_only=True)
class Reader:
    """One way to read shuffled batches.

    Attributes
    ----------
    open
        Opens the images and returns a function. Called with an epoch number from 0, that function returns an iterable
        of float32 batches: numpy arrays, or tensors on the CPU.
    shuffling
        Short description of what is shuffled, for the table.
    full
        Whether every permutation of all images is possible.
    """

    open: Callable[[Place], Callable[[int], Iterable[Any]]]
    shuffling: str
    full: bool = False
