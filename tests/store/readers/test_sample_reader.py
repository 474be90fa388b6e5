import ctypes
import os
import re
import resource
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from zarr.codecs import BloscCodec, BytesCodec, GzipCodec, ShardingCodec, ZstdCodec

from store.errors import ConfigError, CorruptStoreError
from store.layout import Layout, shard_path
from store.readers import block_reader, sample_reader
from store.readers.mapped_reader import MappedReader
from store.readers.pread_reader import PreadReader
from store.readers.sample_reader import ZarrReader, open_reader
from store.readers.shard_files import LocalShards
from tests.examples import tell_tale_images, write_foreign, write_images
from tests.store.readers.block_images import BLOCK_READERS, LAYOUT, SHAPE, open_blocks, open_image, read
from tests.strategies import SHAPES, foreign_arrays, images, layouts

ROOT = Path(__file__).parents[3]
CODEC = {"cname": "lz4", "clevel": 5, "typesize": 32}


def reader_of(root):
    image = open_image(root)
    return open_reader(image, LocalShards(image, root))


def some_samples(draw, count):
    return draw(st.lists(st.integers(0, count - 1), min_size=0, max_size=60))


@st.composite
def own_arrays(draw):
    shape = draw(SHAPES)
    layout = draw(layouts(shape))
    return draw(images(draw(st.integers(1, 3 * layout.shard + 1)), shape)), layout


@given(own_arrays(), st.data())
def test_the_block_reader_gives_what_plain_zarr_gives_of_what_we_write(tmp_path_factory, drawn, data):
    images, layout = drawn
    root = tmp_path_factory.mktemp("store")
    write_images(root, images, layout)
    samples = some_samples(data.draw, len(images))
    image = open_image(root)
    assert reader_of(root).kind == "blocks"
    expected = read(ZarrReader(image), samples, image.shape[1:])
    assert np.array_equal(expected, images[samples].view(np.uint32))
    for reader in BLOCK_READERS:
        assert np.array_equal(read(open_blocks(reader, root), samples, image.shape[1:]), expected)


@given(foreign_arrays(), st.data())
def test_the_block_reader_gives_what_plain_zarr_gives_of_what_zarr_writes(tmp_path_factory, drawn, data):
    root = tmp_path_factory.mktemp("store")
    image = write_foreign(root, **drawn)
    samples = some_samples(data.draw, len(drawn["images"]))
    image = open_image(root)
    assert reader_of(root).kind == "blocks"
    expected = read(ZarrReader(image), samples, image.shape[1:])
    assert np.array_equal(expected, np.asarray(image[:])[samples].view(np.uint32))
    for reader in BLOCK_READERS:
        assert np.array_equal(read(open_blocks(reader, root), samples, image.shape[1:]), expected)


@pytest.mark.parametrize("reader_class", BLOCK_READERS)
def test_missing_chunks_and_shards_are_zeros(tmp_path, reader_class):
    stack = tell_tale_images(20, SHAPE)
    holes = [3, 12, 13, 14, 15, 16, 17]  # one chunk of the first shard, and the whole third shard
    write_foreign(tmp_path, images=stack, layout=LAYOUT, codec=CODEC, holes=holes)
    reader = open_blocks(reader_class, tmp_path)
    expected = stack.copy()
    expected[[3, 4, 5, *range(12, 18)]] = 0
    assert np.array_equal(read(reader, np.arange(20), SHAPE), expected.view(np.uint32))


FALLBACKS = {
    "zstd": {"compressors": ZstdCodec()},
    "gzip": {"compressors": GzipCodec()},
    "no compressor": {"compressors": None},
    "two compressors": {"compressors": [BloscCodec(**CODEC, shuffle="noshuffle", blocksize=512), GzipCodec()]},
    "blosc zstd": {"codec": {**CODEC, "cname": "zstd"}},
    "byte shuffle": {"codec": {**CODEC, "shuffle": "shuffle"}},
    "bit shuffle": {"codec": {**CODEC, "shuffle": "bitshuffle"}},
    "small typesize": {"codec": {**CODEC, "typesize": 4}},
    "typesize that does not divide a sample": {"codec": {**CODEC, "typesize": 24}},
    "blocks that Blosc chooses": {"codec": {**CODEC, "blocksize": 0}},
    "blocks of two samples": {"codec": {**CODEC, "blocksize": 1024}},
    "no shards": {"shards": None},
    "chunks that cut images": {"chunks": (3, 4, 8, 2)},
    "shards that cut images": {"chunks": (3, 4, 8, 2), "shards": (6, 4, 8, 2)},
    "another fill value": {"fill_value": 1.0},
    "NaN as fill value": {"fill_value": float("nan")},
    "big-endian": {"serializer": BytesCodec(endian="big")},
    "float64": {"images": tell_tale_images(20, SHAPE).astype(np.float64)},
    "index at the start": {
        "shards": None,
        "chunks": (6, *SHAPE),
        "compressors": None,
        "serializer": ShardingCodec(
            chunk_shape=(3, *SHAPE),
            codecs=[BytesCodec(), BloscCodec(**CODEC, shuffle="noshuffle", blocksize=512)],
            index_location="start",
        ),
    },
    "index without a checksum": {
        "shards": None,
        "chunks": (6, *SHAPE),
        "compressors": None,
        "serializer": ShardingCodec(
            chunk_shape=(3, *SHAPE),
            codecs=[BytesCodec(), BloscCodec(**CODEC, shuffle="noshuffle", blocksize=512)],
            index_codecs=[BytesCodec()],
        ),
    },
}


@pytest.mark.parametrize("changes", FALLBACKS.values(), ids=FALLBACKS)
def test_anything_else_is_read_through_zarr(tmp_path, changes):
    stack = tell_tale_images(20, SHAPE)
    write_foreign(tmp_path, **{"images": stack, "layout": LAYOUT, "codec": CODEC, "holes": [4], **changes})
    image = open_image(tmp_path)
    reader = reader_of(tmp_path)
    assert reader.kind == "zarr"
    samples = [19, 3, 3, 0, 11, 8, 4]
    assert np.array_equal(read(reader, samples, SHAPE), np.asarray(image[:], np.float32)[samples].view(np.uint32))
    assert np.array_equal(read(reader, [6, 7, 8], SHAPE), stack[6:9].astype(np.float32).view(np.uint32))


def test_samples_too_small_to_be_blocks_are_read_through_zarr(tmp_path):
    stack = tell_tale_images(20, (4, 4, 1))
    options = {**CODEC, "shuffle": "noshuffle", "blocksize": 64}
    zarr.create_array(
        tmp_path, name="image", data=stack, chunks=(3, 4, 4, 1), shards=(6, 4, 4, 1), compressors=BloscCodec(**options)
    )
    reader = reader_of(tmp_path)
    assert reader.kind == "zarr"
    assert np.array_equal(read(reader, [19, 0, 5], (4, 4, 1)), stack[[19, 0, 5]].view(np.uint32))


@pytest.mark.parametrize("reader_class", BLOCK_READERS)
def test_without_lz4_itself_blocks_are_decoded_through_numcodecs_and_damage_is_named(
    tmp_path, monkeypatch, reader_class
):
    stack = tell_tale_images(20, SHAPE)
    write_images(tmp_path, stack, LAYOUT)
    monkeypatch.setattr(block_reader, "lz4_address", lambda: 0)
    reader = open_blocks(reader_class, tmp_path)
    assert reader.kind == reader_class.kind + ", decoded one by one through numcodecs"
    order = [19, 0, 5, 5, 7]
    assert np.array_equal(read(reader, order, SHAPE), stack[order].view(np.uint32))
    shard = shard_path(tmp_path, 0)
    data = bytearray(shard.read_bytes())
    start = 16 + 4 * LAYOUT.chunk
    data[start + 4 : start + 16] = b"\xff" * 12  # the first block's data
    shard.write_bytes(data)
    with pytest.raises(CorruptStoreError, match=r"c\.0.*sample 0 .*does not decode"):
        read(open_blocks(reader_class, tmp_path), [0], SHAPE)


@pytest.mark.parametrize(
    "out",
    [
        np.empty((2, *SHAPE), np.float32),
        np.empty((4, *SHAPE), np.float32),
        np.empty((3, *SHAPE), np.float64)[:, ::2],
        np.empty((3, *SHAPE), np.int32),
        np.empty((6, *SHAPE), np.float32)[::2],
    ],
    ids=["too short", "too long", "float64", "int32", "with gaps"],
)
def test_an_array_of_another_size_or_type_is_never_written_to(stored, out):
    before = out.tobytes()
    with pytest.raises(ValueError, match="out must be C-contiguous float32 for 3 samples"):
        stored[1].read(np.array([1, 2, 3]), out)
    assert out.tobytes() == before


@pytest.mark.parametrize("sample", [-1, 24, 2**62])
def test_samples_outside_the_array_are_refused(stored, sample):
    with pytest.raises(ValueError, match=r"samples must be in \[0, "):
        stored[1].read(np.array([0, sample]), np.empty((2, *SHAPE), np.float32))


def test_a_map_keeps_giving_the_images_of_a_store_that_is_replaced(tmp_path):
    write_images(root := tmp_path, tell_tale_images(20, SHAPE), LAYOUT)
    reader = open_blocks(MappedReader, root)
    shutil.rmtree(root / "image")
    assert np.array_equal(read(reader, np.arange(20), SHAPE), tell_tale_images(20, SHAPE).view(np.uint32))


def change_length(path):
    os.truncate(path, 16)
    return "was cut short by another program while it was being read, from [0-9]+ bytes to 16; copy it again"


def change_content(path):
    path.write_bytes(bytes(path.stat().st_size))
    os.utime(path, ns=(0, 0))
    return "was changed by another program while the store was being read"


def change_name(path):
    path.rename(path.with_name("elsewhere"))
    return r"can no longer be read \(No such file or directory\)"


@pytest.mark.parametrize("change", [change_length, change_content, change_name])
def test_a_shard_that_changes_is_an_error_that_names_it_if_it_is_read_with_pread(tmp_path, change):
    write_images(tmp_path, tell_tale_images(20, SHAPE), LAYOUT)
    reader = open_blocks(PreadReader, tmp_path)
    path = shard_path(tmp_path, 1)
    if change is change_length:
        read(reader, [6], SHAPE)  # opens the shard, which is then shortened while it is open
    reason = change(path)
    for _ in range(2):
        with pytest.raises(CorruptStoreError, match=re.escape(f"{path}: ") + reason):
            read(reader, [0, 7], SHAPE)
    assert np.array_equal(read(reader, [0, 19], SHAPE), tell_tale_images(20, SHAPE)[[0, 19]].view(np.uint32))


def test_a_read_that_is_interrupted_or_short_is_repeated(tmp_path, monkeypatch):
    write_images(tmp_path, tell_tale_images(20, SHAPE), LAYOUT)
    reader = open_blocks(PreadReader, tmp_path)
    monkeypatch.setattr(reader, "_pread", FAILING_PREAD)
    pread = os.pread
    monkeypatch.setattr(os, "pread", lambda file, size, begin: pread(file, min(size, 100), begin))
    order = [19, 3, 3, 0, 11, 8, 4]
    assert np.array_equal(read(reader, order, SHAPE), tell_tale_images(20, SHAPE)[order].view(np.uint32))


@ctypes.CFUNCTYPE(ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_long, ctypes.c_long)
def fail(*_):
    return -1


FAILING_PREAD = ctypes.cast(fail, ctypes.c_void_p).value


def test_few_shards_stay_open_and_none_after_the_reader_is_gone(tmp_path):
    write_images(tmp_path, tell_tale_images(500, SHAPE), Layout(sample_bytes=512, chunk=1, shard=1))
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, limit[1]))
    try:
        reader = open_blocks(PreadReader, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limit)
    order = np.random.default_rng(0).permutation(500)
    with ThreadPoolExecutor(4) as pool:
        batches = [*pool.map(lambda part, reader=reader: read(reader, part, SHAPE), np.split(order, 10))]
    assert np.array_equal(np.concatenate(batches), tell_tale_images(500, SHAPE)[order].view(np.uint32))
    assert len(open_below(tmp_path)) == 256 // 8
    del reader
    assert not open_below(tmp_path)


def open_below(folder):
    """Return the descriptors of this process whose files are in a folder."""
    return [file.fd for file in psutil.Process().open_files() if Path(file.path).is_relative_to(folder)]


@pytest.mark.parametrize(
    ("value", "network", "kind"),
    [
        ("", False, "blocks"),
        ("", True, "blocks, by pread"),
        ("map", True, "blocks"),
        ("pread", False, "blocks, by pread"),
    ],
)
def test_the_reader_is_pread_on_a_network_unless_the_user_chooses(tmp_path, monkeypatch, value, network, kind):
    write_images(tmp_path, tell_tale_images(20, SHAPE), LAYOUT)
    monkeypatch.setenv("CALOSTREAM_READER", value)
    monkeypatch.setattr(sample_reader, "on_network", lambda path: network and path == tmp_path / "image")
    assert reader_of(tmp_path).kind == kind


def test_an_unknown_reader_is_refused(tmp_path, monkeypatch):
    write_images(tmp_path, tell_tale_images(20, SHAPE), LAYOUT)
    monkeypatch.setenv("CALOSTREAM_READER", "mmap")
    with pytest.raises(ConfigError, match="CALOSTREAM_READER='mmap': unknown reader; known: map, pread"):
        reader_of(tmp_path)
