"""zarr-python with the zarrs codec pipeline on our store, one slice per batch."""

import zarr
import zarrs  # noqa: F401  registers the pipeline

from tests.benchmarks.peers.zarr_python import open_store
from tests.benchmarks.reader import Reader

zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"})

READERS = {"zarr-python, zarrs pipeline": Reader(open=open_store, shuffling="blocks of 512 images")}
