"""The PyTorch feed on the CPU, and the bare stream in the same process."""

from collections.abc import Callable, Iterator
from typing import Any

import torch

from store.stream import BatchStream
from tests.benchmarks.reader import Place, Reader
from train.pytorch.feed import Feed


def opening(convert: Callable[[BatchStream], Iterator[Any]]) -> Callable[[Place], Callable[[int], Iterator[Any]]]:
    def open_(place: Place) -> Callable[[int], Iterator[Any]]:
        stream = BatchStream(place.store, split="train", batch_size=place.batch)
        return lambda epoch: convert(stream)

    return open_


def by_feed(stream: BatchStream) -> Iterator[Any]:
    return (image for _, (image,), _ in Feed(torch.device("cpu"))(stream))


def bare(stream: BatchStream) -> Iterator[Any]:
    return (batch.image for batch in stream)


READERS = {
    "ours, beside PyTorch": Reader(open=opening(bare), shuffling="all images, 2 threads", full=True),
    "ours, PyTorch feed": Reader(open=opening(by_feed), shuffling="all images, 2 threads", full=True),
}
