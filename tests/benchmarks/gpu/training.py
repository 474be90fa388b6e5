"""Feeds and training by the programs' own code, over a time that is given."""

import gc
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from store.opening import open_store
from store.stream import BatchStream
from train.backend import Backend, Steps
from train.config import TrainConfig
from train.feeds import choose_feed, hold_splits
from train.outputs import Collector
from train.resolve import make_augmentation, make_specification, resolve_config
from train.run import open_stream

LEAST = 3  # batches
MEMORY = 2 << 30  # bytes for batches that are decoded ahead, unless three batches are larger


@dataclass(frozen=True, kw_only=True)
class Setting:
    """How to train: a store and settings of the trainers.

    `mode` is ``graph``, several launches or steps at once, or ``eager``; `feed` is one of
    `tests.benchmarks.gpu.rows.FEEDS`.
    """

    store: Path
    device: str
    threads: int
    batch: int
    feed: str = "auto"
    model: str = "auto"
    precision: str = "float32"
    mode: str = "graph"

    def open(self, side: Any) -> tuple[Backend, BatchStream]:
        """Return the backend, and the stream of the training split."""
        store = open_store(self.store)
        settings: dict[str, Any] = {
            "batch_size": self.batch,
            "model": self.model,
            "precision": self.precision,
            "feed": "stream" if self.feed == "sparse" else self.feed,
            "device": self.device,
            "threads": self.threads,
            "memory": f"{max(MEMORY, 3 * self.batch * store.spec.sample_bytes)}B",
            **side.settings(self.mode),
        }
        config = resolve_config(TrainConfig(run=Path("unused"), store=self.store, **settings), store)
        backend = side.backend(make_specification(config, store), config)
        augmentation = make_augmentation(config, store)
        if self.feed == "sparse":
            stream = BatchStream(
                self.store,
                split="train",
                batch_size=config.batch_size,
                shuffle="full",
                memory=config.memory,
                threads=config.threads,
                transform=augmentation,
                sparse=True,
            )
        else:
            stream = open_stream(config, "train", "full", (0, 1), augmentation, training=True)
        hold_splits(config, choose_feed(config, {"train": stream}, backend), {"train": stream}, backend)
        return backend, stream


def endless(backend: Backend, stream: BatchStream) -> Iterator[Steps]:
    """Yield the batches of epoch after epoch."""
    while True:
        yield from backend.feed(stream)


def measure_feed(side: Any, setting: Setting, seconds: float, warm_up: int) -> dict[str, Any]:
    """Return how many images arrive on the device per second, for a consumer that does nothing with them."""
    began = time.perf_counter()
    backend, stream = setting.open(side)
    batches = endless(backend, stream)
    for _ in range(warm_up):
        images = side.images(next(batches), stream.image_shape)
    side.synchronise([images])
    ready = time.perf_counter() - began
    taken, count = 0, 0
    began = time.perf_counter()
    while count < LEAST or time.perf_counter() - began < seconds:
        steps = next(batches)
        images = side.images(steps, stream.image_shape)
        taken += len(steps.sample)
        count += steps.count
    side.synchronise([images])
    return {"images_per_second": taken / (time.perf_counter() - began), "ready_after": ready, "batch": setting.batch}


def measure_training(side: Any, setting: Setting, seconds: float, warm_up: int) -> dict[str, Any]:
    """Return images per second of training, the share of time spent waiting for data, and synchronisations per step."""
    began = time.perf_counter()
    backend, stream = setting.open(side)
    batches = endless(backend, stream)

    def take(seconds: float, least: int) -> tuple[int, int]:
        """Train for some time and return the number of images and steps."""
        collector = Collector(backend, "benchmark", lambda *_: None)
        images, count, began = 0, 0, time.perf_counter()
        while count < least or time.perf_counter() - began < seconds:
            steps = next(batches)
            collector.add(steps, backend.train(steps, [TrainConfig.learning_rate] * steps.count))
            images += len(steps.sample)
            count += steps.count
        collector.outputs()
        return images, count

    take(0, warm_up)
    ready, waited = time.perf_counter() - began, stream.waited
    side.forget_peak()
    began = time.perf_counter()
    images, steps = take(seconds, LEAST)
    elapsed = time.perf_counter() - began
    waited = stream.waited - waited
    with side.counting_synchronisations(setting.device) as synchronisations:
        _, counted = take(0, warm_up)
    return {
        "images_per_second": images / elapsed,
        "waiting_share": waited / elapsed,
        "ms_per_step": 1000 * elapsed / steps,
        "synchronisations_per_step": len(synchronisations) / counted if side.COUNTS_SYNCHRONISATIONS else None,
        "peak_gb": side.peak_gb(setting.device),
        "ready_after": ready,
    }


def measure_epochs(side: Any, setting: Setting, seconds: float) -> dict[str, Any]:
    """Return the seconds of each epoch, outputs included and validation not, as in the training loop."""
    backend, stream = setting.open(side)
    epochs: list[float] = []
    while len(epochs) < 3 or sum(epochs) < seconds:
        gc.collect()
        began = time.perf_counter()
        collector = Collector(backend, "benchmark", lambda *_: None)
        for steps in backend.feed(stream):
            collector.add(steps, backend.train(steps, [TrainConfig.learning_rate] * steps.count))
        outputs = collector.outputs()
        epochs.append(time.perf_counter() - began)
        assert len(outputs.sample) == stream.sample_count
    later = epochs[1:]
    return {
        "first_epoch": epochs[0],
        "seconds_per_epoch": sum(later) / len(later),
        "images_per_second": stream.sample_count * len(later) / sum(later),
    }
