"""litdata: chunks of 64 MB on a local disk, shuffled within the blocks that it chooses itself."""

from collections.abc import Callable, Iterator

import litdata
import numpy as np
import torch

from tests.benchmarks.images import Images
from tests.benchmarks.reader import Place, Reader

MOST = 25_000


def one_image(row: int) -> np.ndarray:
    return Images(count=row + 1).take([row])[0]


def write(place: Place) -> None:
    litdata.optimize(
        fn=one_image,
        inputs=list(range(place.images.count)),
        output_dir=str(place.folder / "chunks"),
        chunk_bytes="64MB",
        num_workers=1,
    )


def opening(workers: int) -> Callable[[Place], Callable[[int], Iterator[torch.Tensor]]]:
    def open_(place: Place) -> Callable[[int], Iterator[torch.Tensor]]:
        images = litdata.StreamingDataset(str(place.folder / "chunks"), shuffle=True, drop_last=False)
        loader = litdata.StreamingDataLoader(
            images, batch_size=place.batch, num_workers=workers, persistent_workers=workers > 0
        )
        return lambda epoch: iter(loader)

    return open_


READERS = {
    f"litdata, {workers} workers": Reader(
        open=opening(workers), shuffling="chunks of 64 MB in random order, blocks of 256 images inside, permuted"
    )
    for workers in (0, 2)
}
