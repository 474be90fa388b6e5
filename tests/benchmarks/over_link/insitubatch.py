"""insitubatch over HTTP: an array in chunks of 4,096 images, with decoded images in a cache on disk, and without it."""

from collections.abc import Callable, Iterator

import numpy as np
from insitubatch import InSituDataset, obstore_store, open_geometries, split_by_chunk

from tests.benchmarks.peers.insitubatch import write
from tests.benchmarks.reader import Place, Reader, RemotePlace

__all__ = ["MOST", "READERS", "write"]

MOST = 200_000
WINDOW = 65_536


def opening(caching: bool) -> Callable[[Place], Callable[[int], Iterator[np.ndarray]]]:
    def open_(place: Place) -> Callable[[int], Iterator[np.ndarray]]:
        assert isinstance(place, RemotePlace)
        url = f"{place.address}/{place.folder.name}/images.zarr"
        store = obstore_store(url, client_options={"allow_http": True})
        geometries = open_geometries(store, variables=["image"])
        manifest = split_by_chunk(geometries["image"], fractions=(1.0, 0.0, 0.0), sample_range=(0, place.images.count))
        images_held = place.images.count + 4 * WINDOW  # it needs room for the window, and for the one read ahead
        budget = 4 * images_held * int(np.prod(place.images.shape))
        cache = {"cache_dir": str(place.cache), "cache_budget_bytes": budget} if caching else {}
        images = InSituDataset(store, manifest, geometries=geometries, batch_size=place.batch, **cache)

        def epochs(epoch: int) -> Iterator[np.ndarray]:
            images.set_epoch(epoch)
            return (batch.arrays["image"] for batch in images.train)

        return epochs

    return open_


READERS = {
    "insitubatch": Reader(open=opening(caching=True), shuffling="windows of 16 chunks (65,536 images)"),
    "insitubatch, no cache on disk": Reader(open=opening(caching=False), shuffling="windows of 65,536 images"),
}
