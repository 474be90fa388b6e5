"""Training the reference network for an epoch: from the stream, and from arrays in memory."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from store.stream import Batch, BatchStream
from tests.benchmarks.own.reference import in_memory
from tests.benchmarks.reader import Place, Reader
from train.backend import Backend, BackendFactory
from train.config import TrainConfig
from train.model.networks import CNN
from train.model.normalisation import Normalisation
from train.model.specification import Specification

Images = Iterator[np.ndarray]


def readers(framework: str, make_backend: BackendFactory) -> dict[str, Reader]:
    """Return readers that train a network of one framework on each batch that they read."""

    def opening(source: Callable[[Place], Iterable[Batch]]) -> Callable[[Place], Callable[[int], Images]]:
        def open_(place: Place) -> Callable[[int], Images]:
            normalisation = Normalisation(recipe="none", scale=(1, 1), offset=(0, 0))
            specification = Specification(architecture=CNN, normalisation=normalisation, image_shape=place.images.shape)
            backend = make_backend(specification, TrainConfig(run=Path("unused"), device="cpu"), None)
            batches = source(place)
            return lambda epoch: train(backend, batches)

        return open_

    return {
        f"training {framework}, {name}": Reader(open=opening(source), shuffling="all images", full=True)
        for name, source in (("from the stream", streamed), ("from arrays", InMemory))
    }


def train(backend: Backend, batches: Iterable[Batch]) -> Images:
    for steps in backend.feed(batches):  # type: ignore[arg-type]
        backend.copy_to_host([backend.train(steps, [TrainConfig.learning_rate])])()
        yield steps.inputs[0]


def streamed(place: Place) -> Iterable[Batch]:
    return BatchStream(place.store, split="train", batch_size=place.batch)


class InMemory:
    """Shuffled batches from arrays in memory, with what feeds on a CPU ask a stream for."""

    sparse = False

    def __init__(self, place: Place) -> None:
        self.image_shape = place.images.shape
        self.plan = SimpleNamespace(identity={}, batch_size=place.batch)
        self._images, self._labels, self._batch = in_memory(place), place.images.labels(), place.batch
        self._random = np.random.default_rng(0)

    def __iter__(self) -> Iterator[Batch]:
        order = self._random.permutation(len(self._images))
        for start in range(0, len(order), self._batch):
            rows = order[start : start + self._batch]
            yield Batch(self._images[rows], self._labels[rows], rows)
