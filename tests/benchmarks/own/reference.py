"""The reference: numpy indexing of an array that holds all images in memory."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from tests.benchmarks.reader import Place, Reader


def open_array(threads: int) -> Callable[[Place], Callable[[int], Iterator[Any]]]:
    def open_(place: Place) -> Callable[[int], Iterator[Any]]:
        images = in_memory(place)
        order = np.random.default_rng(0).permutation(len(images))
        rows = [order[start : start + place.batch] for start in range(0, len(order), place.batch)]

        def in_this_thread(epoch: int) -> Iterator[Any]:
            for chosen in rows:
                yield images[chosen]

        def in_threads(epoch: int) -> Iterator[Any]:
            ahead: deque[Any] = deque()
            with ThreadPoolExecutor(threads) as pool:
                for chosen in rows:
                    ahead.append(pool.submit(images.__getitem__, chosen))
                    if len(ahead) > 2 * threads:
                        yield ahead.popleft().result()
                while ahead:
                    yield ahead.popleft().result()

        return in_this_thread if threads == 1 else in_threads

    return open_


_LOADED: list[np.ndarray] = []


def in_memory(place: Place) -> np.ndarray:
    """Return all images; they are loaded once per process."""
    if not _LOADED:
        _LOADED.append(np.empty((place.images.count, *place.images.shape), np.float32))
        start = 0
        for block in place.images.blocks():
            _LOADED[0][start : start + len(block)] = block
            start += len(block)
    return _LOADED[0]


READERS = {
    "numpy X[perm]": Reader(open=open_array(1), shuffling="all images, in memory: the reference", full=True),
    "numpy X[perm], 2 threads": Reader(open=open_array(2), shuffling="all images, in memory", full=True),
}
