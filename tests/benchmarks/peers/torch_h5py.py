"""A PyTorch DataLoader over h5py, one image at a time, as in most notebooks.

The compressed file has one chunk per image. The uncompressed one is contiguous, in which HDF5 finds an image faster.
Reading all rows of a batch, sorted, in one call is slower than one call per row.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import torch
from torch.utils.data import DataLoader, Dataset

from tests.benchmarks.reader import Place, Reader

MOST = 25_000
FILES = {"gzip": {"compression": "gzip", "shuffle": True}, "uncompressed": {}}


def write(place: Place) -> None:
    shape = (place.images.count, *place.images.shape)
    for name, filters in FILES.items():
        with h5py.File(place.folder / f"{name}.hdf5", "w") as file:
            chunks = (1, *shape[1:]) if filters else None
            images = file.create_dataset("X", shape, "f4", chunks=chunks, **filters)
            start = 0
            for block in place.images.blocks():
                images[start : start + len(block)] = block
                start += len(block)


class Images(Dataset[torch.Tensor]):
    """The images of a file; each process opens the file itself."""

    def __init__(self, path: Path, count: int) -> None:
        self._path, self._count = path, count
        self._images: h5py.Dataset | None = None

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, row: int) -> torch.Tensor:
        if self._images is None:
            self._images = h5py.File(self._path)["X"]
        return torch.from_numpy(self._images[row])


def opening(name: str, workers: int) -> Callable[[Place], Callable[[int], Iterator[torch.Tensor]]]:
    def open_(place: Place) -> Callable[[int], Iterator[torch.Tensor]]:
        images = Images(place.folder / f"{name}.hdf5", place.images.count)
        loader = DataLoader(
            images, batch_size=place.batch, shuffle=True, num_workers=workers, persistent_workers=workers > 0
        )
        return lambda epoch: iter(loader)

    return open_


READERS = {
    f"DataLoader over h5py, {name}, {workers} workers": Reader(
        open=opening(name, workers), shuffling="all images", full=True
    )
    for name in FILES
    for workers in (0, 2)
}
