"""zarr-python on our store, one slice per batch."""

from collections.abc import Callable, Iterator

import numpy as np
import zarr

from tests.benchmarks.reader import Place, Reader

MOST = 100_000


def open_store(place: Place) -> Callable[[int], Iterator[np.ndarray]]:
    images = zarr.open_array(place.store / "image", mode="r")
    count = place.images.count

    def epochs(epoch: int) -> Iterator[np.ndarray]:
        for start in place.batch * np.random.default_rng(epoch).permutation(-(-count // place.batch)):
            yield images[start : min(count, start + place.batch)]

    return epochs


READERS = {"zarr-python": Reader(open=open_store, shuffling="blocks of 512 images")}
