"""h5py, one slice per batch, from a file compressed with gzip, as most files of the field are."""

from collections.abc import Callable, Iterator

import h5py
import numpy as np

from tests.benchmarks.reader import Place, Reader

MOST = 50_000


def write(place: Place) -> None:
    with h5py.File(place.folder / "images.hdf5", "w") as file:
        shape = (place.images.count, *place.images.shape)
        chunks = (min(place.batch, shape[0]), *shape[1:])
        images = file.create_dataset("X", shape, "f4", chunks=chunks, compression="gzip", shuffle=True)
        start = 0
        for block in place.images.blocks():
            images[start : start + len(block)] = block
            start += len(block)


def open_file(place: Place) -> Callable[[int], Iterator[np.ndarray]]:
    images = h5py.File(place.folder / "images.hdf5")["X"]
    return lambda epoch: (images[start : start + place.batch] for start in range(0, len(images), place.batch))


READERS = {"h5py slices": Reader(open=open_file, shuffling="not shuffled; chunks of 512 images, gzip")}
