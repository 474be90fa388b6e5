"""The PyTorch feed on the CPU."""

from collections.abc import Callable, Iterator

import torch

from store.stream import BatchStream
from tests.benchmarks.reader import Place, Reader
from train.feed_torch import feed


def open_feed(place: Place) -> Callable[[int], Iterator[torch.Tensor]]:
    stream = BatchStream(place.store, split="train", batch_size=place.batch)
    return lambda epoch: (image for _, image, _ in feed(stream, torch.device("cpu")))


READERS = {"ours, PyTorch feed": Reader(open=open_feed, shuffling="all images, 2 threads", full=True)}
