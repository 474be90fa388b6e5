"""A store to measure with, written without source files."""

from pathlib import Path

import numpy as np
import zarr

from store.blosc import encode_samples
from store.layout import Layout, shard_path
from store.schema import ELECTRON_PHOTON
from store.writer import SampleTable, consolidate, create_image, write_shard, write_tables
from tests.benchmarks.images import Images


def write_store(root: Path, images: Images) -> Path:
    """Write a store whose training split is all the images, laid out as `ingest` does it."""
    layout = Layout.of(ELECTRON_PHOTON.sample_bytes)
    zarr.create_group(root, zarr_format=3)
    create_image(root, images.count, ELECTRON_PHOTON, layout)
    for shard, block in enumerate(images.blocks(layout.shard)):
        write_shard(shard_path(root, shard), encode_samples(block, layout), layout)
    table = SampleTable(
        label=images.labels(),
        source_file=np.zeros(images.count, np.uint8),
        source_row=np.arange(images.count),
        split_sizes=(images.count, 0, 0),
    )
    attributes = {
        "sources": [{"name": "sample.hdf5", "size": 1, "sha256": "0" * 64, "rows": images.count}],
        "simulated": "Geant4 simulation",
        "content_digest": f"{images.count} images",
    }
    write_tables(root, table, ELECTRON_PHOTON, attributes)
    consolidate(root)
    return root
