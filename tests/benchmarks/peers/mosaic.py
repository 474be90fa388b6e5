"""MosaicML streaming from a local disk, with its default shuffle."""

import sys
from collections.abc import Callable, Iterator
from types import ModuleType

import torch
from torch.utils.data import DataLoader

from tests.benchmarks.reader import Place, Reader

# streaming imports torchvision. Its ordinary wheel is built for CUDA and registers operators that a CPU build of torch
# does not have.
sys.modules["torchvision._meta_registrations"] = ModuleType("torchvision._meta_registrations")
from streaming import MDSWriter, StreamingDataset  # noqa: E402

MOST = 10_000


def write(place: Place) -> None:
    write_shards(place)


def write_shards(place: Place, compression: str | None = None) -> None:
    shape = ",".join(map(str, place.images.shape))
    columns = {"image": f"ndarray:float32:{shape}"}
    with MDSWriter(out=str(place.folder / "shards"), columns=columns, compression=compression) as writer:
        for block in place.images.blocks():
            for image in block:
                writer.write({"image": image})


def opening(workers: int) -> Callable[[Place], Callable[[int], Iterator[torch.Tensor]]]:
    def open_(place: Place) -> Callable[[int], Iterator[torch.Tensor]]:
        images = StreamingDataset(local=str(place.folder / "shards"), shuffle=True, batch_size=place.batch)
        loader = DataLoader(images, batch_size=place.batch, num_workers=workers, persistent_workers=workers > 0)
        return lambda epoch: (batch["image"] for batch in loader)

    return open_


READERS = {
    f"mosaicml-streaming, {workers} workers": Reader(
        open=opening(workers), shuffling="py1e: shards spread over 3,000,000 images or more", full=True
    )
    for workers in (0, 2)
}
