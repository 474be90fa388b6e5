"""MosaicML streaming from S3: shards of 64 MB, compressed with zstd.

Without worker processes: with two, it sometimes waits for ever for a shard that it has.
"""

import os
from collections.abc import Callable, Iterator

import torch

from tests.benchmarks.peers.mosaic import DataLoader, StreamingDataset, write_shards
from tests.benchmarks.reader import Place, Reader, RemotePlace

MOST = 25_000


def write(place: Place) -> None:
    write_shards(place, compression="zstd")


def open_shards(place: Place) -> Callable[[int], Iterator[torch.Tensor]]:
    assert isinstance(place, RemotePlace)
    os.environ.update(
        S3_ENDPOINT_URL=place.address,
        AWS_ACCESS_KEY_ID="benchmark",
        AWS_SECRET_ACCESS_KEY="benchmark",
        AWS_DEFAULT_REGION="us-east-1",
    )
    remote = f"s3://{place.folder.name}/shards"
    images = StreamingDataset(remote=remote, local=str(place.cache), shuffle=True, batch_size=place.batch)
    loader = DataLoader(images, batch_size=place.batch, num_workers=0)
    return lambda epoch: (batch["image"] for batch in loader)


READERS = {"mosaicml-streaming": Reader(open=open_shards, shuffling="py1e: shards spread over 3,000,000 images")}
