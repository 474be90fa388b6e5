"""Parquet read with pyarrow, one row group per batch; each image is one fixed-size binary value."""

from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.benchmarks.reader import Place, Reader

MOST = 200_000
COMPRESSIONS = ("zstd", "lz4")


def write(place: Place) -> None:
    schema = pa.schema({"image": pa.binary(4 * int(np.prod(place.images.shape)))})
    for compression in COMPRESSIONS:
        path = place.folder / f"{compression}.parquet"
        with pq.ParquetWriter(path, schema, compression=compression, use_dictionary=False) as writer:
            for block in place.images.blocks(place.batch):
                buffers = [None, pa.py_buffer(block)]
                images = pa.FixedSizeBinaryArray.from_buffers(schema.field("image").type, len(block), buffers)
                writer.write_table(pa.table([images], schema=schema), row_group_size=place.batch)


def opening(compression: str) -> Callable[[Place], Callable[[int], Iterator[np.ndarray]]]:
    def open_(place: Place) -> Callable[[int], Iterator[np.ndarray]]:
        file = pq.ParquetFile(place.folder / f"{compression}.parquet", memory_map=True)

        def epochs(epoch: int) -> Iterator[np.ndarray]:
            for group in np.random.default_rng(epoch).permutation(file.num_row_groups):
                images = file.read_row_group(int(group))["image"].combine_chunks()
                yield np.frombuffer(images.buffers()[1], np.float32).reshape(-1, *place.images.shape)

        return epochs

    return open_


READERS = {
    f"Parquet (pyarrow), {compression}": Reader(open=opening(compression), shuffling="row groups of 512 images")
    for compression in COMPRESSIONS
}
