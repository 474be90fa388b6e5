"""grain over ArrayRecord: records in groups of one, as its documentation asks for random access."""

from collections.abc import Callable, Iterator

import grain
import numpy as np
from array_record.python.array_record_module import ArrayRecordWriter

from tests.benchmarks.reader import Place, Reader

MOST = 50_000


def write(place: Place) -> None:
    writer = ArrayRecordWriter(str(place.folder / "images.array_record"), "group_size:1")
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


READERS = {"grain + ArrayRecord": Reader(open=open_threads, shuffling="all images", full=True)}
