"""The batch stream from a store at a URL, and from the same store on this machine."""

import os
from collections.abc import Callable, Iterator
from typing import Any

from store.plans.shuffles import AnyShuffle
from store.remote.cache import FOLDER, SIZE
from store.stream import BatchStream
from tests.benchmarks.reader import Place, Reader, RemotePlace

SHUFFLING: dict[AnyShuffle, str] = {
    "window": "windows of 8,192 images",
    "auto": "windows in the first epoch, then all images",
    "full": "all images",
}


def open_remote(shuffle: AnyShuffle) -> Callable[[Place], Callable[[int], Iterator[Any]]]:
    def open_(place: Place) -> Callable[[int], Iterator[Any]]:
        assert isinstance(place, RemotePlace)
        os.environ[FOLDER] = str(place.cache)
        os.environ.pop(SIZE, None)
        if place.cache_bytes is not None:
            os.environ[SIZE] = str(place.cache_bytes)
        return epochs_of(f"{place.address}/{place.store.name}", shuffle, place.batch)

    return open_


def open_local(shuffle: AnyShuffle) -> Callable[[Place], Callable[[int], Iterator[Any]]]:
    return lambda place: epochs_of(str(place.store), shuffle, place.batch)


def epochs_of(store: str, shuffle: AnyShuffle, batch: int) -> Callable[[int], Iterator[Any]]:
    stream = BatchStream(store, split="train", batch_size=batch, shuffle=shuffle)
    return lambda epoch: (batch.image for batch in stream)


READERS = {
    f"{where}, {shuffle}": Reader(open=open_(shuffle), shuffling=SHUFFLING[shuffle])
    for where, open_, shuffles in (
        ("ours", open_remote, ("window", "auto")),
        ("local store", open_local, ("window", "full")),
    )
    for shuffle in shuffles
}
