"""tensorstore on our store, one slice per batch, read one batch ahead."""

from collections.abc import Callable, Iterator

import numpy as np
import tensorstore

from tests.benchmarks.reader import Place, Reader


def open_store(place: Place) -> Callable[[int], Iterator[np.ndarray]]:
    images = tensorstore.open(
        {"driver": "zarr3", "kvstore": {"driver": "file", "path": str(place.store / "image")}}, read=True, open=True
    ).result()
    count = place.images.count

    def epochs(epoch: int) -> Iterator[np.ndarray]:
        starts = place.batch * np.random.default_rng(epoch).permutation(-(-count // place.batch))
        ahead = None
        for start in starts:
            reading = images[start : min(count, start + place.batch)].read()
            if ahead is not None:
                yield ahead.result()
            ahead = reading
        if ahead is not None:
            yield ahead.result()

    return epochs


READERS = {"tensorstore": Reader(open=open_store, shuffling="blocks of 512 images")}
