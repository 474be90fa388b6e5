"""A backend and its stream on a device; every test here runs on the CPU as well, if it is quick."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from store.opening import open_store
from store.stream import BatchStream
from train.backend import Steps
from train.config import TrainConfig
from train.feeds import choose_feed, hold_splits
from train.pytorch.backend import TorchBackend
from train.resolve import make_augmentation, make_specification, resolve_config
from train.run import open_stream

DEVICES = ("cpu", pytest.param("cuda", marks=pytest.mark.gpu))
RATE = 3e-3
BATCH = 50  # of 240 training images: the last batch of an epoch has 40


@dataclass
class Training:
    """A backend, and the stream that it is trained on."""

    backend: TorchBackend
    stream: BatchStream

    @classmethod
    def open(cls, path: Path, device: str, feed: str = "stream", **settings: Any) -> "Training":
        """Open both; `feed` is ``stream``, ``sparse`` or ``resident``."""
        store = open_store(path)
        setting = "stream" if feed == "sparse" else feed
        chosen = {"batch_size": BATCH, "model": "shower", "seed": 3, "precision": "float32", **settings}
        config = TrainConfig(run=Path("unused"), store=path, device=device, feed=setting, **chosen)
        config = resolve_config(config, store)
        backend = TorchBackend(make_specification(config, store), config)
        augmentation = make_augmentation(config, store)
        if feed == "sparse":
            options: dict[str, Any] = {"split": "train", "batch_size": BATCH, "shuffle": "full", "seed": config.seed}
            return cls(backend, BatchStream(path, transform=augmentation, sparse=True, **options))
        stream = open_stream(config, "train", "full", (0, 1), augmentation, training=True)
        hold_splits(config, choose_feed(config, {"train": stream}, backend), {"train": stream}, backend)
        return cls(backend, stream)

    def batches(self) -> Iterator[Steps]:
        """Yield the batches of epoch after epoch."""
        while True:
            yield from self.backend.feed(self.stream)

    def train(self, count: int) -> np.ndarray:
        """Train on some batches of the current epoch, or of whole ones, and return all logits."""
        logits = []
        for _, steps in zip(range(count), self.batches(), strict=False):
            logits.append(self.backend.train(steps, [RATE]).detach().cpu().numpy())
        return np.concatenate(logits)
