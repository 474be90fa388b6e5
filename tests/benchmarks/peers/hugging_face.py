"""Hugging Face datasets: a memory-mapped Arrow file, shuffled by a table of indices.

It converts arrays of several dimensions image by image; flat arrays in its Arrow format need no conversion.
"""

from collections.abc import Callable, Iterator

import datasets
import numpy as np

from tests.benchmarks.reader import Place, Reader

MOST = 25_000


def write(place: Place) -> None:
    shape = place.images.shape
    flat = (int(np.prod(shape)),)
    for name, feature, size in (
        ("arrays", datasets.Array3D(shape=shape, dtype="float32"), shape),
        ("flat", datasets.List(datasets.Value("float32"), length=flat[0]), flat),
    ):

        def rows(size: tuple[int, ...] = size) -> Iterator[dict[str, np.ndarray]]:
            for block in place.images.blocks():
                for image in block:
                    yield {"image": image.reshape(size)}

        features = datasets.Features({"image": feature})
        dataset = datasets.Dataset.from_generator(
            rows, features=features, cache_dir=str(place.folder / f"{name}-cache")
        )
        dataset.save_to_disk(str(place.folder / name))


def open_arrays(place: Place) -> Callable[[int], Iterator[np.ndarray]]:
    images = datasets.load_from_disk(str(place.folder / "arrays")).with_format("numpy")

    def epochs(epoch: int) -> Iterator[np.ndarray]:
        shuffled = images.shuffle(seed=epoch, keep_in_memory=True)
        return (batch["image"] for batch in shuffled.iter(batch_size=place.batch))

    return epochs


def open_flat(place: Place) -> Callable[[int], Iterator[np.ndarray]]:
    images = datasets.load_from_disk(str(place.folder / "flat")).with_format("arrow")

    def epochs(epoch: int) -> Iterator[np.ndarray]:
        for table in images.shuffle(seed=epoch, keep_in_memory=True).iter(batch_size=place.batch):
            yield table["image"].combine_chunks().flatten().to_numpy().reshape(-1, *place.images.shape)

    return epochs


READERS = {
    "Hugging Face datasets": Reader(open=open_arrays, shuffling="all images", full=True),
    "Hugging Face datasets, flat, Arrow format": Reader(open=open_flat, shuffling="all images", full=True),
}
