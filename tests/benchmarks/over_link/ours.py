"""The batch stream from a store at a URL, and from the same store on this machine."""

import os
from collections.abc import Callable, Iterator
from typing import Any

from store.remote.cache import FOLDER, SIZE
from store.shuffles import Shuffle
from store.stream import BatchStream
from tests.benchmarks.reader import Place, Reader, RemotePlace

SHUFFLING: dict[Shuffle, str] = {"window": "windows of 8,192 images", "full": "all images"}


def open_remote(shuffle: Shuffle) -> Callable[[Place], Callable[[int], Iterator[Any]]]:
    def open_(place: Place) -> Callable[[int], Iterator[Any]]:
        assert isinstance(place, RemotePlace)
        os.environ[FOLDER] = str(place.cache)
        os.environ.pop(SIZE, None)
        if place.cache_bytes is not None:
            os.environ[SIZE] = str(place.cache_bytes)
        return epochs_of(f"{place.address}/{place.store.name}", shuffle, place.batch)

    return open_


def open_local(shuffle: Shuffle) -> Callable[[Place], Callable[[int], Iterator[Any]]]:
    return lambda place: epochs_of(str(place.store), shuffle, place.batch)


def epochs_of(store: str, shuffle: Shuffle, batch: int) -> Callable[[int], Iterator[Any]]:
    stream = BatchStream(store, split="train", batch_size=batch, shuffle=shuffle)
    return lambda epoch: (batch.image for batch in stream)


READERS = {
    f"{where}, {shuffle}": Reader(open=open_(shuffle), shuffling=shuffling)
    for where, open_ in (("ours", open_remote), ("ours, local store", open_local))
    for shuffle, shuffling in SHUFFLING.items()
}
