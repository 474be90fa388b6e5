"""The batch stream in all its modes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from store.arrays import Float32Array
from store.plans.shuffles import Shuffle
from store.sparse import SparseImages
from store.stream import BatchStream
from tests.benchmarks.reader import Place, Reader

SHUFFLING: dict[Shuffle, str] = {
    "full": "all images",
    "window": "windows of 8,192 images from random chunks",
    "chunks": "chunks of 512 KiB",
    "none": "not shuffled",
}


def open_stream(shuffle: Shuffle, threads: int) -> Callable[[Place], Callable[[int], Iterator[Any]]]:
    def open_(place: Place) -> Callable[[int], Iterator[Any]]:
        stream = BatchStream(place.store, split="train", batch_size=place.batch, shuffle=shuffle, threads=threads)
        return lambda epoch: (batch.image for batch in stream)

    return open_


@dataclass(frozen=True)
class Expandable:
    """Sparse images of which numpy makes dense ones, as the check of a reader needs them and its timing does not."""

    images: SparseImages

    def __len__(self) -> int:
        return len(self.images)

    def __array__(self, *_: Any, **__: Any) -> Float32Array:
        return self.images.to_dense()


def open_sparse(threads: int) -> Callable[[Place], Callable[[int], Iterator[Any]]]:
    def open_(place: Place) -> Callable[[int], Iterator[Any]]:
        stream = BatchStream(place.store, split="train", batch_size=place.batch, threads=threads, sparse=True)
        return lambda epoch: (Expandable(batch.images) for batch in stream)

    return open_


READERS = {
    f"ours, {shuffle}, {threads} thread{'s' * (threads > 1)}": Reader(
        open=open_stream(shuffle, threads), shuffling=shuffling, full=shuffle == "full"
    )
    for shuffle, shuffling in SHUFFLING.items()
    for threads in (1, 2)
} | {
    f"ours, full, sparse, {threads} thread{'s' * (threads > 1)}": Reader(
        open=open_sparse(threads), shuffling="all images, in sparse form", full=True
    )
    for threads in (1, 2)
}
