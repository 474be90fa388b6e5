"""Images as blocks in shards, and what a reader gives of them."""

import numpy as np
import zarr

from store.layout import Layout
from store.readers.mapped_reader import MappedReader
from store.readers.pread_reader import PreadReader
from store.readers.shard_files import LocalShards

SHAPE = (8, 8, 2)
LAYOUT = Layout(sample_bytes=512, chunk=3, shard=6)
BLOCK_READERS = [MappedReader, PreadReader]


def open_image(root):
    return zarr.open_array(root, path="image", mode="r")


def open_blocks(reader_class, root):
    image = open_image(root)
    return reader_class(image, LocalShards(image, root))


def read(reader, samples, shape):
    """Return what a reader gives, as bits: NaNs and -0.0 count, too."""
    samples = np.asarray(samples, np.int64)
    out = np.full((samples.size, *shape), np.float32(7))
    reader.read(samples, out)
    return out.view(np.uint32)
