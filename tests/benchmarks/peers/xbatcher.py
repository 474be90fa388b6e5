"""xbatcher over xarray on our store."""

from collections.abc import Callable, Iterator

import numpy as np
import xarray as xr
import xbatcher

from tests.benchmarks.reader import Place, Reader

MOST = 50_000


def open_store(place: Place) -> Callable[[int], Iterator[np.ndarray]]:
    images = xr.open_zarr(place.store, consolidated=False, chunks=None)["image"].isel(sample=slice(place.images.count))
    sizes = {"ieta": 32, "iphi": 32, "channel": 2}
    whole = place.images.count // place.batch * place.batch
    rest = images.isel(sample=slice(whole, None))

    def epochs(epoch: int) -> Iterator[np.ndarray]:
        for batch in xbatcher.BatchGenerator(images, {"sample": place.batch, **sizes}):
            yield batch.values
        if rest.sizes["sample"]:
            yield rest.values  # xbatcher drops the last batch if it is not full

    return epochs


READERS = {"xbatcher": Reader(open=open_store, shuffling="not shuffled")}
