"""insitubatch, from an array in chunks of 4,096 images: it decodes whole shards, and ours are larger.

It keeps two decoded windows, 131,072 images, in memory. An array no larger than that is decoded only once.
"""

from collections.abc import Callable, Iterator

import numpy as np
import zarr
from insitubatch import InSituDataset, obstore_store, open_geometries, split_by_chunk
from zarr.codecs import BloscCodec

from tests.benchmarks.reader import Place, Reader

CHUNK = 4096
MOST = 250_000


def write(place: Place) -> None:
    count = place.images.count
    images = zarr.create_group(place.folder / "images.zarr").create_array(
        "image",
        shape=(count, *place.images.shape),
        chunks=(min(CHUNK, count), *place.images.shape),
        dtype="float32",
        compressors=BloscCodec(cname="lz4", clevel=5, shuffle="noshuffle"),
    )
    for number, block in enumerate(place.images.blocks(CHUNK)):
        images[CHUNK * number : CHUNK * number + len(block)] = block


def open_array(place: Place) -> Callable[[int], Iterator[np.ndarray]]:
    store = obstore_store(f"file://{place.folder.resolve()}/images.zarr")
    geometries = open_geometries(store, variables=["image"])
    manifest = split_by_chunk(geometries["image"], fractions=(1.0, 0.0, 0.0), sample_range=(0, place.images.count))
    images = InSituDataset(store, manifest, geometries=geometries, batch_size=place.batch)

    def epochs(epoch: int) -> Iterator[np.ndarray]:
        images.set_epoch(epoch)
        return (batch.arrays["image"] for batch in images.train)

    return epochs


READERS = {"insitubatch": Reader(open=open_array, shuffling="windows of 16 chunks (65,536 images)")}
