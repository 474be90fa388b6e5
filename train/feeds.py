"""Choosing where the images of each epoch come from: the store, or the memory of the device."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import psutil

from store.errors import ConfigError
from store.files import parse_size
from store.readers.page_cache import group_limits
from store.sparse import position_type
from store.stream import BatchStream
from train.backend import Backend
from train.config import AUTO, RESIDENT, STREAM, TrainConfig
from train.progress import announce, watch_images
from train.resident import ResidentSplit, reading_stream, samples_of

SHARES = {AUTO: 0.5, RESIDENT: 0.9}
"""Largest share of the free memory of the device that resident images may take, by the setting ``feed``."""
SPARSE_BYTES = 64 << 10
"""Smallest dense image that is streamed to a GPU in sparse form.

The search for hits takes a third of the decoding speed, of showers and of jets. A jet is 43 times smaller in sparse
form, so that a few threads would otherwise decode more than the link to a GPU carries; a shower is dense in 8 KB.
"""
FEW_IMAGES = 4096  # of which the number of hits is counted before a split is read


@dataclass(frozen=True, kw_only=True)
class ChosenFeed:
    """Where the images of training and validation come from.

    Attributes
    ----------
    name
        ``stream`` or ``resident``.
    hits
        Hits per image that are expected in each split that is to be resident.
    needed, room
        Expected size of the resident images in bytes, and what they may take.
    """

    name: str
    hits: Mapping[str, float]
    needed: int = 0
    room: int = 0

    def __str__(self) -> str:
        if self.name == STREAM:
            return "images streamed from the store"
        return f"images of {' and '.join(self.hits)} resident, about {self.needed / 1e6:,.1f} MB"


def streams_sparse(image_shape: tuple[int, ...], backend: Backend) -> bool:
    """Return whether images are streamed in sparse form, for the GPU to expand."""
    return backend.takes_sparse and 4 * int(np.prod(image_shape)) >= SPARSE_BYTES


def choose_feed(config: TrainConfig, streams: Mapping[str, BatchStream], backend: Backend) -> ChosenFeed:
    """Choose the feed before training starts. Collective: every rank must call this.

    ``auto`` keeps images resident on a GPU if they take at most half of its free memory, the part that the first images
    of each split suggest. On the CPU it streams.

    Parameters
    ----------
    config
        Settings of the run.
    streams
        The streams that give images in every epoch, by split.
    backend
        The model, on its device.

    Raises
    ------
    ConfigError
        If the images are to be resident and do not fit.
    """
    streaming = ChosenFeed(name=STREAM, hits={})
    if config.feed == STREAM:
        return streaming
    of_gpu = backend.free_memory()
    if of_gpu is None and config.feed == AUTO:
        return streaming
    free = free_host_memory() if of_gpu is None else of_gpu
    room = int(SHARES[config.feed] * backend.all_gather(np.array([free])).min())
    hits = {split: expected_hits(config, stream) for split, stream in streams.items()}
    needed = sum(split_bytes(stream, hits[split]) for split, stream in streams.items())
    if needed <= room:
        return ChosenFeed(name=RESIDENT, hits=hits, needed=needed, room=room)
    if config.feed == AUTO:
        return streaming
    raise ConfigError(too_large(needed, room))


def hold_splits(config: TrainConfig, feed: ChosenFeed, streams: Mapping[str, BatchStream], backend: Backend) -> None:
    """Read the splits that are to be resident, one after the other, into the memory of the device.

    Raises
    ------
    ConfigError
        If they take more memory than expected, and do not fit.
    """
    left = feed.room
    for split, hits in feed.hits.items():
        stream = streams[split]
        reading = reading_stream(stream, parse_size("memory", config.memory), config.threads)
        with watch_images(f"reading {split}", reading.sample_count) as show:
            try:
                images = ResidentSplit.read(stream.plan, reading, hits=hits, limit=left, show=show)
            except MemoryError:
                message = too_large(feed.needed, feed.room, f"the images of {split} take more than expected: ")
                if config.feed == RESIDENT:
                    raise ConfigError(message) from None
                announce(f"{message}; streaming them instead")
                return
        left -= images.nbytes
        backend.hold(split, images)


def too_large(needed: int, room: int, reason: str = "") -> str:
    """Return why images cannot be resident."""
    return (
        f"feed={RESIDENT!r}: {reason}about {needed:,} bytes needed, {room:,} bytes of the device's free memory may be "
        f"used; use --feed {STREAM} or {AUTO}"
    )


def expected_hits(config: TrainConfig, stream: BatchStream) -> float:
    """Return the mean number of hits of the first images that a stream can draw."""
    reading = reading_stream(stream, parse_size("memory", config.memory), config.threads)
    batches = min(len(reading), max(1, FEW_IMAGES // reading.plan.batch_size))
    images = hits = 0
    for batch in reading.batches(range(batches)):
        images, hits = images + len(batch.images), hits + batch.images.value.size
    return hits / images


def split_bytes(stream: BatchStream, hits: float) -> int:
    """Return the size in bytes of the resident images of a split, with this number of hits per image."""
    per_hit = np.dtype(np.float32).itemsize + np.dtype(position_type(stream.image_shape)).itemsize
    per_image = 2 * np.dtype(np.int64).itemsize  # where its hits begin, and how many there are
    return int(samples_of(stream.plan).size * (hits * per_hit + per_image))


def free_host_memory() -> int:
    """Return the bytes of host memory that this rank may take."""
    available: int = psutil.virtual_memory().available
    return min([available, *group_limits()]) // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
