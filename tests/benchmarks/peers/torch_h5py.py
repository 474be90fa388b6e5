"""A PyTorch DataLoader over h5py, one image at a time: what most notebooks do."""

from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import torch
from torch.utils.data import DataLoader, Dataset

from tests.benchmarks.reader import Place, Reader

MOST = 10_000


def write(place: Place) -> None:
    with h5py.File(place.folder / "images.hdf5", "w") as file:
        shape = (place.images.count, *place.images.shape)
        images = file.create_dataset("X", shape, "f4", chunks=(1, *shape[1:]), compression="gzip", shuffle=True)
        start = 0
        for block in place.images.blocks():
            images[start : start + len(block)] = block
            start += len(block)


class Images(Dataset[torch.Tensor]):
    """The images of a file, which each process opens for itself."""

    def __init__(self, path: Path, count: int) -> None:
        self._path, self._count = path, count
        self._images: h5py.Dataset | None = None

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, row: int) -> torch.Tensor:
        if self._images is None:
            self._images = h5py.File(self._path)["X"]
        return torch.from_numpy(self._images[row])


def opening(workers: int) -> Callable[[Place], Callable[[int], Iterator[torch.Tensor]]]:
    def open_(place: Place) -> Callable[[int], Iterator[torch.Tensor]]:
        images = Images(place.folder / "images.hdf5", place.images.count)
        loader = DataLoader(
            images, batch_size=place.batch, shuffle=True, num_workers=workers, persistent_workers=workers > 0
        )
        return lambda epoch: iter(loader)

    return open_


READERS = {
    f"DataLoader over h5py, {workers} workers": Reader(open=opening(workers), shuffling="all images", full=True)
    for workers in (0, 2)
}
