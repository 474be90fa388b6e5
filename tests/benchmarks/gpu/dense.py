"""Images that reach the device without our store: from arrays in memory, and from other readers. PyTorch only."""

import importlib
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, TensorDataset

from tests.benchmarks.gpu.torch_side import synchronise
from tests.benchmarks.images import Images
from tests.benchmarks.reader import Place

WARM_UP = 2  # batches


def measure(device: str, kind: str, batch: int, images: int, dataset: str, seconds: float) -> dict[str, Any]:
    """Return images per second of a DataLoader over pinned arrays, or of all images dense in the device's memory."""
    shape = (images, *Images(count=images, dataset=dataset).shape)
    whole = torch.empty(shape, device=device if kind == "resident" else "cpu")
    start = 0
    for block in Images(count=images, dataset=dataset).blocks():
        whole[start : start + len(block)] = torch.from_numpy(block)
        start += len(block)
    if kind == "resident":
        return timed(lambda: gathered(whole, batch), batch, seconds)
    pinned = device == "cuda"
    loader = DataLoader(TensorDataset(whole), batch_size=batch, shuffle=True, pin_memory=pinned)
    return timed(lambda: (image.to(device, non_blocking=pinned) for (image,) in loader), batch, seconds)


def gathered(whole: torch.Tensor, batch: int) -> Iterator[torch.Tensor]:
    """Yield the batches of an epoch in random order."""
    order = torch.randperm(len(whole), device=whole.device)
    for start in range(0, len(whole), batch):
        yield whole.index_select(0, order[start : start + batch])


def measure_peer(
    device: str, peer: str, store: Path, folder: Path, images: int, batch: int, seconds: float
) -> dict[str, Any]:
    """Return images per second of the fastest way in which a module of ``tests/benchmarks/peers`` reads.

    Raises
    ------
    ImportError
        If its packages are not installed.
    """
    contents = importlib.import_module(f"tests.benchmarks.peers.{peer}")
    count = min(images, getattr(contents, "MOST", images))
    place = Place(store=store, folder=folder, images=Images(count=count), batch=batch)
    if hasattr(contents, "write"):
        contents.write(place)
    found: dict[str, dict[str, Any]] = {}
    for name, reader in contents.READERS.items():
        epochs = reader.open(place)
        found[name] = timed(
            lambda epochs=epochs: (torch.from_numpy(np.asarray(part)).to(device) for part in epochs(0)),
            batch,
            seconds,
        )
    best = max(found, key=lambda name: found[name]["images_per_second"])
    return found[best] | {"note": best}


def timed(epoch: Callable[[], Iterable[torch.Tensor]], batch: int, seconds: float) -> dict[str, Any]:
    """Return images per second over some time, after a few batches."""
    batches = (images for _ in iter(int, 1) for images in epoch())
    for _ in range(WARM_UP):
        next(batches)
    synchronise()
    images, began = 0, time.perf_counter()
    while not images or time.perf_counter() - began < seconds:
        images += len(next(batches))
    synchronise()
    return {"images_per_second": images / (time.perf_counter() - began), "batch": batch}
