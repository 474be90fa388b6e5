"""A store for the benchmarks, written without source files."""

from pathlib import Path

import numpy as np
import zarr

from store.blosc import encode_samples
from store.datasets import DatasetSpec, find_dataset
from store.digests import content_digest, write_digests
from store.layout import Layout, shard_path
from store.writer import SampleTable, consolidate, create_image, write_shard, write_tables
from tests.benchmarks.images import Images


def write_store(root: Path, images: Images) -> Path:
    """Write a store whose training split holds all images, laid out as `ingest` does it."""
    spec = find_dataset(images.dataset)
    layout = layout_of(images, spec)
    zarr.create_group(root, zarr_format=3)
    create_image(root, images.count, spec, layout)
    shards = [
        write_shard(shard_path(root, shard), encode_samples(block, layout), layout)
        for shard, block in enumerate(images.blocks(layout.shard))
    ]
    table = SampleTable(
        label=images.labels(),
        source_file=np.zeros(images.count, np.uint8),
        source_row=np.arange(images.count),
        split_sizes=(images.count, 0, 0),
        variables={variable.name: images.variables()[variable.name] for variable in spec.variables},
    )
    attributes = {
        "sources": [{"name": "sample.hdf5", "size": 1, "sha256": "0" * 64, "rows": images.count}],
        "simulated": "simulation",
        "split_scheme": "all images for training",
        "seed": 0,
        "content_digest": content_digest(shards, table.split_ranges, table.content),
    }
    write_tables(root, table, spec, attributes)
    consolidate(root)
    write_digests(root)
    return root


def layout_of(images: Images, spec: DatasetSpec) -> Layout:
    """Return the layout for images of which the first thousands tell how well they compress."""
    layout = Layout.of(spec.sample_bytes)
    first = next(images.blocks())
    stored = sum(map(len, encode_samples(first, layout)))
    return layout.sized(images.count, stored * images.count // len(first))
