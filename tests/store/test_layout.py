from pathlib import Path

import numcodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.blosc import encode_samples, join_blocks
from store.errors import ConfigError
from store.layout import CHUNK_BYTES, SHARD_BYTES, Layout, makes_blocks, shard_path


@pytest.mark.parametrize(
    ("sample_bytes", "chunk", "typesize"),
    [(8_192, 64, 32), (187_500, 2, 20), (1 << 20, 1, 32)],
    ids=["showers", "jets", "larger than a chunk"],
)
def test_chunks_have_the_designed_sizes(sample_bytes, chunk, typesize):
    layout = Layout.of(sample_bytes)
    assert (layout.chunk, layout.shard, layout.typesize) == (chunk, chunk, typesize)


@pytest.mark.parametrize(
    ("samples", "stored_bytes", "shard"),
    [
        (64 << 10, 32 << 20, 64 << 10),
        (498_000, 286_350_000, 55_360),
        (1_000_000_000, 575_000_000_000, 58_368),
        (5_000, 3_000_000, 5_056),
        (1, 0, 64),
        (640, 100 << 30, 64),
    ],
    ids=["one full shard", "showers", "a billion", "few", "one", "hardly compressed"],
)
def test_shards_have_about_the_same_stored_size(samples, stored_bytes, shard):
    layout = Layout.of(8_192).sized(samples, stored_bytes)
    assert (layout.chunk, layout.shard) == (64, shard)


@given(st.integers(32, 100_000), st.integers(1, 1 << 34), st.integers(0, 4 << 20))
def test_shards_are_whole_chunks_within_their_bound(pixels, samples, stored_per_sample):
    layout = Layout.of(4 * pixels).sized(samples, samples * stored_per_sample)
    assert layout.chunk * layout.sample_bytes <= CHUNK_BYTES or layout.chunk == 1
    assert layout.shard % layout.chunk == 0
    assert layout.shard - layout.chunk < samples
    assert layout.shard == layout.chunk or (layout.shard - layout.chunk) * stored_per_sample <= SHARD_BYTES


def test_the_typesize_is_one_with_which_blosc_makes_a_block_of_each_sample_if_there_is_one():
    others = []
    for sample_bytes in range(4, 8_192, 4):
        layout = Layout.of(sample_bytes)
        assert layout.codec["blocksize"] == sample_bytes
        if not makes_blocks(layout.typesize, sample_bytes):
            assert layout.typesize == 4
            others.append(sample_bytes)
            continue
        # Blosc stores what it cannot compress; more than one sample, so that their blocks can be told from the chunk.
        chunk = numcodecs.Blosc(**layout.codec).encode(np.zeros((2, sample_bytes // 4), np.float32))
        assert int.from_bytes(chunk[8:12], "little") == sample_bytes
    assert others
    assert all(size < 128 or all(size % divisor for divisor in range(17, 256)) for size in others)


@pytest.mark.parametrize("sample_bytes", [4, 72, 124, 4 * 257, 4 * 65_537])
def test_samples_of_which_blosc_makes_no_blocks_are_blocks_that_it_decodes(sample_bytes):
    layout = Layout.of(sample_bytes)
    assert not makes_blocks(layout.typesize, sample_bytes)
    images = np.arange(3 * sample_bytes // 4, dtype=np.float32).reshape(3, -1)
    blocks = encode_samples(images[: layout.chunk], layout)
    chunk, _ = join_blocks(blocks, layout)
    values = np.frombuffer(numcodecs.Blosc().decode(chunk), np.float32).reshape(layout.chunk, -1)
    assert np.array_equal(values[:3], images[: layout.chunk])
    assert not values[3:].any()


@pytest.mark.parametrize(("chunk", "shard"), [(4, 6), (0, 0), (-2, 4), (4, 0)])
def test_chunks_that_do_not_fill_a_shard_are_refused(chunk, shard):
    with pytest.raises(ConfigError, match=f"shard={shard} is not a multiple of chunk={chunk}"):
        Layout(sample_bytes=8_192, chunk=chunk, shard=shard)


@pytest.mark.parametrize(("samples", "shards"), [(0, 0), (1, 1), (4_096, 1), (4_097, 2), (249_000, 61)])
def test_shards_are_counted_up(samples, shards):
    assert Layout(sample_bytes=8_192, chunk=64, shard=4_096).shard_count(samples) == shards


def test_a_shard_is_one_file_in_the_folder_of_the_images():
    assert shard_path(Path("a.zarr"), 12) == Path("a.zarr/image/c.12.0.0.0")
