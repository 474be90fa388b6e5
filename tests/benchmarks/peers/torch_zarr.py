"""A PyTorch DataLoader over zarr-python, one image at a time, from our store."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
import zarr
from torch.utils.data import DataLoader, Dataset

from tests.benchmarks.reader import Place, Reader

MOST = 1_000


class Images(Dataset[torch.Tensor]):
    def __init__(self, images: zarr.Array[Any], count: int) -> None:
        self._images, self._count = images, count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, row: int) -> torch.Tensor:
        return torch.from_numpy(self._images[row])


def open_store(place: Place) -> Callable[[int], Iterator[torch.Tensor]]:
    images = Images(zarr.open_array(place.store / "image", mode="r"), place.images.count)
    loader = DataLoader(images, batch_size=place.batch, shuffle=True)
    return lambda epoch: iter(loader)


READERS = {"DataLoader over zarr-python": Reader(open=open_store, shuffling="all images", full=True)}
