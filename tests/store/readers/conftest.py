"""A store of a few shards, for each reader of blocks."""

import pytest

from tests.examples import tell_tale_images, write_images
from tests.store.readers.block_images import BLOCK_READERS, LAYOUT, SHAPE, open_blocks


@pytest.fixture(params=BLOCK_READERS, ids=["map", "pread"])
def stored(request, tmp_path):
    """Return a store of 20 images in four shards, and a reader of it."""
    write_images(tmp_path, tell_tale_images(20, SHAPE), LAYOUT)
    return tmp_path, open_blocks(request.param, tmp_path)
