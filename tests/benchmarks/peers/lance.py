"""LanceDB: its StreamingDataset, and the Permutation below it, which takes the rows of one batch at a time.

The images are a column of fixed-size lists, which Lance keeps uncompressed, so that single rows can be taken.
"""

from collections.abc import Callable, Iterator

import lancedb
import numpy as np
import pyarrow as pa
import torch
from lancedb.permutation import Permutation, permutation_builder
from lancedb.streaming import StreamingDataset
from torch.utils.data import DataLoader

from tests.benchmarks.reader import Place, Reader

MOST = 50_000
READ = 512  # rows per read: slower with the default of 64, and with more than these
TABLE = "images"


def write(place: Place) -> None:
    values = int(np.prod(place.images.shape))
    schema = pa.schema({"image": pa.list_(pa.float32(), values)})

    def batches() -> Iterator[pa.RecordBatch]:
        for block in place.images.blocks():
            images = pa.FixedSizeListArray.from_arrays(pa.array(block.reshape(-1)), values)
            yield pa.record_batch([images], schema=schema)

    lancedb.connect(place.folder).create_table(TABLE, batches(), schema=schema)


def images_of(batch: pa.RecordBatch, place: Place) -> np.ndarray:
    """Return the images of some rows without copying them."""
    return batch["image"].flatten().to_numpy().reshape(-1, *place.images.shape)


def opening(clump: int | None) -> Callable[[Place], Callable[[int], Iterator[torch.Tensor]]]:
    def open_(place: Place) -> Callable[[int], Iterator[torch.Tensor]]:
        table = lancedb.connect(place.folder).open_table(TABLE)

        def epochs(epoch: int) -> Iterator[torch.Tensor]:
            images = StreamingDataset(
                table,
                epoch=epoch,
                read_batch_size=READ,
                shuffle_clump_size=clump,
                transform=lambda batch: torch.from_numpy(images_of(batch, place).copy()),
            )
            return iter(DataLoader(images, batch_size=place.batch))

        return epochs

    return open_


def open_permutation(place: Place) -> Callable[[int], Iterator[np.ndarray]]:
    table = lancedb.connect(place.folder).open_table(TABLE)

    def epochs(epoch: int) -> Iterator[np.ndarray]:
        order = permutation_builder(table).shuffle(seed=epoch).execute()
        batches = Permutation.from_tables(table, order).with_format("arrow")
        return (images_of(batch, place) for batch in batches.iter(place.batch, skip_last_batch=False))

    return epochs


READERS = {
    "LanceDB StreamingDataset": Reader(open=opening(None), shuffling="all images", full=True),
    "LanceDB StreamingDataset, clumps": Reader(open=opening(64), shuffling="clumps of 64 images"),
    "LanceDB Permutation": Reader(open=open_permutation, shuffling="all images", full=True),
}
