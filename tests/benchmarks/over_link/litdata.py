"""litdata from S3: chunks of 64 MB, compressed with zstd."""

from collections.abc import Callable, Iterator

import litdata
import torch
from litdata.streaming import downloader

from tests.benchmarks.peers.litdata import one_image
from tests.benchmarks.reader import Place, Reader, RemotePlace

MOST = 50_000


def write(place: Place) -> None:
    litdata.optimize(
        fn=one_image,
        inputs=list(range(place.images.count)),
        output_dir=str(place.folder / "chunks"),
        chunk_bytes="64MB",
        compression="zstd",
        compression_level="chunk",  # 0.2.76 cannot read what it writes at its default level, "batch"
        num_workers=1,
    )


def open_chunks(place: Place) -> Callable[[int], Iterator[torch.Tensor]]:
    assert isinstance(place, RemotePlace)
    downloader._OBSTORE_CLIENT_OPTIONS["allow_http"] = True  # it has no option for servers without TLS
    images = litdata.StreamingDataset(
        f"s3://{place.folder.name}/chunks",
        cache_dir=str(place.cache),
        shuffle=True,
        drop_last=False,
        storage_options={
            "endpoint_url": place.address,
            "aws_access_key_id": "benchmark",
            "aws_secret_access_key": "benchmark",
            "region_name": "us-east-1",
        },
    )
    loader = litdata.StreamingDataLoader(images, batch_size=place.batch, num_workers=0)
    return lambda epoch: iter(loader)


READERS = {"litdata": Reader(open=open_chunks, shuffling="chunks of 8,192 images, blocks of 256 inside")}
