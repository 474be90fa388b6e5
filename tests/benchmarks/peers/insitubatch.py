"""insitubatch on our store; it treats each shard as one chunk.

It keeps two decoded windows, 131,072 images, in memory. A store no larger than that is decoded only in the first epoch.
"""

from collections.abc import Callable, Iterator

import numpy as np
from insitubatch import InSituDataset, obstore_store, open_geometries, split_by_chunk

from tests.benchmarks.reader import Place, Reader


def open_store(place: Place) -> Callable[[int], Iterator[np.ndarray]]:
    store = obstore_store(f"file://{place.store.resolve()}")
    geometries = open_geometries(store, variables=["image"])
    manifest = split_by_chunk(geometries["image"], fractions=(1.0, 0.0, 0.0), sample_range=(0, place.images.count))
    images = InSituDataset(store, manifest, geometries=geometries, batch_size=place.batch)

    def epochs(epoch: int) -> Iterator[np.ndarray]:
        images.set_epoch(epoch)
        return (batch.arrays["image"] for batch in images.train)

    return epochs


READERS = {"insitubatch": Reader(open=open_store, shuffling="windows of 16 shards (65,536 images)")}
