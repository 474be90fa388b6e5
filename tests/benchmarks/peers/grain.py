"""ArrayRecord, read through grain and on its own.

Records are written in groups of one, as its documentation recommends for random access.
"""

from collections.abc import Callable, Iterator

import grain
import numpy as np
from array_record.python.array_record_module import ArrayRecordReader, ArrayRecordWriter

from tests.benchmarks.reader import Place, Reader

MOST = 25_000


def write(place: Place) -> None:
    writer = ArrayRecordWriter(str(place.folder / "images.array_record"), "group_size:1,uncompressed")
    for block in place.images.blocks():
        for image in block:
            writer.write(image.tobytes())
    writer.close()


def open_threads(place: Place) -> Callable[[int], Iterator[np.ndarray]]:
    source = grain.sources.ArrayRecordDataSource(str(place.folder / "images.array_record"))
    shape = place.images.shape

    def decode(record: bytes) -> np.ndarray:
        return np.frombuffer(record, np.float32).reshape(shape)

    def epochs(epoch: int) -> Iterator[np.ndarray]:
        images = grain.MapDataset.source(source).seed(epoch).shuffle().map(decode).batch(place.batch)
        return iter(images.to_iter_dataset())

    return epochs


def open_batches(place: Place) -> Callable[[int], Iterator[np.ndarray]]:
    path = str(place.folder / "images.array_record")
    reader = ArrayRecordReader(path, options="readahead_buffer_size:0", file_reader_buffer_size=8192)
    count = reader.num_records()

    def epochs(epoch: int) -> Iterator[np.ndarray]:
        order = np.random.default_rng(epoch).permutation(count).tolist()
        for start in range(0, count, place.batch):
            records = b"".join(reader.read(order[start : start + place.batch]))
            yield np.frombuffer(records, np.float32).reshape(-1, *place.images.shape)

    return epochs


READERS = {
    "grain + ArrayRecord": Reader(open=open_threads, shuffling="all images", full=True),
    "ArrayRecord, one read per batch": Reader(open=open_batches, shuffling="all images", full=True),
}
