"""Parquet read with pyarrow, a row group a batch."""

from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.benchmarks.reader import Place, Reader

MOST = 100_000


def write(place: Place) -> None:
    width = int(np.prod(place.images.shape))
    schema = pa.schema({"image": pa.list_(pa.float32(), width)})
    with pq.ParquetWriter(place.folder / "images.parquet", schema, compression="zstd") as writer:
        for block in place.images.blocks(place.batch):
            flat = pa.FixedSizeListArray.from_arrays(pa.array(block.ravel()), width)
            writer.write_table(pa.table({"image": flat}, schema=schema), row_group_size=place.batch)


def open_file(place: Place) -> Callable[[int], Iterator[np.ndarray]]:
    file = pq.ParquetFile(place.folder / "images.parquet", memory_map=True)

    def epochs(epoch: int) -> Iterator[np.ndarray]:
        for group in np.random.default_rng(epoch).permutation(file.num_row_groups):
            column = file.read_row_group(int(group))["image"].combine_chunks()
            yield column.flatten().to_numpy().reshape(len(column), *place.images.shape)

    return epochs


READERS = {"Parquet (pyarrow)": Reader(open=open_file, shuffling="row groups of 512 images")}
