"""annbatch with its defaults, its own pre-shuffled collection, and the zarrs pipeline that it recommends."""

from collections.abc import Callable, Iterator

import anndata as ad
import numpy as np
import zarr
import zarrs  # noqa: F401  registers the pipeline
from annbatch import DatasetCollection, Loader

from tests.benchmarks.reader import Place, Reader

zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"})

MOST = 50_000


def write(place: Place) -> None:
    flat = np.concatenate([block.reshape(len(block), -1) for block in place.images.blocks()])
    source = place.folder / "images.h5ad"
    ad.AnnData(X=flat).write_h5ad(source)
    DatasetCollection(place.folder / "collection.zarr").add_adatas([source])


def open_collection(place: Place) -> Callable[[int], Iterator[np.ndarray]]:
    collection = DatasetCollection(place.folder / "collection.zarr")

    def epochs(epoch: int) -> Iterator[np.ndarray]:
        loader = Loader(batch_size=place.batch, shuffle=True, rng=np.random.default_rng(epoch))
        loader.add_datasets([group["X"] for group in collection])
        return (batch["X"].reshape(-1, *place.images.shape) for batch in loader)

    return epochs


READERS = {
    "annbatch": Reader(open=open_collection, shuffling="32 random chunks of 512 images at a time, permuted inside")
}
