"""Hugging Face datasets: an Arrow file, mapped, shuffled by a table of indices."""

from collections.abc import Callable, Iterator

import datasets
import numpy as np

from tests.benchmarks.reader import Place, Reader

MOST = 20_000


def write(place: Place) -> None:
    features = datasets.Features({"image": datasets.Array3D(shape=place.images.shape, dtype="float32")})

    def rows() -> Iterator[dict[str, np.ndarray]]:
        for block in place.images.blocks():
            for image in block:
                yield {"image": image}

    made = datasets.Dataset.from_generator(rows, features=features, cache_dir=str(place.folder / "cache"))
    made.save_to_disk(str(place.folder / "arrow"))


def open_arrow(place: Place) -> Callable[[int], Iterator[np.ndarray]]:
    images = datasets.load_from_disk(str(place.folder / "arrow")).with_format("numpy")

    def epochs(epoch: int) -> Iterator[np.ndarray]:
        shuffled = images.shuffle(seed=epoch, keep_in_memory=True)
        return (batch["image"] for batch in shuffled.iter(batch_size=place.batch))

    return epochs


READERS = {"Hugging Face datasets": Reader(open=open_arrow, shuffling="all images", full=True)}
