"""Stores of more shards than are opened at once: each is opened when it is first used."""

import os
import re
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import zarr

from store.errors import CorruptStoreError
from store.layout import Layout, shard_path
from store.readers import block_reader, mapped_reader
from store.readers.bus_errors import mapped
from store.readers.mapped_reader import MappedReader
from store.readers.pread_reader import PreadReader
from store.readers.shard_files import LocalShards
from tests.examples import tell_tale_images, write_images

SHAPE = (8, 8, 2)
LAYOUT = Layout(sample_bytes=512, chunk=3, shard=6)
SAMPLES = 100  # in 17 shards
IMAGES = tell_tale_images(SAMPLES, SHAPE)


class FewCopies(LocalShards):
    """Shards of which only three may stay open, as for copies that may be deleted."""

    most_open = 3


@pytest.fixture(autouse=True)
def none_at_once(monkeypatch):
    monkeypatch.setattr(block_reader, "FEW", 0)


@pytest.fixture
def root(tmp_path):
    write_images(tmp_path, IMAGES, LAYOUT)
    return tmp_path


@pytest.fixture(params=[MappedReader, PreadReader], ids=["map", "pread"])
def reader_class(request):
    return request.param


def open_blocks(reader_class, root, shards=LocalShards):
    image = zarr.open_array(root, path="image", mode="r")
    return reader_class(image, shards(image, root))


def read(reader, samples):
    out = np.full((len(samples), *SHAPE), np.float32(7))
    reader.read(np.asarray(samples, np.int64), out)
    return out


def maps_of(root):
    return [path.name for _, path in mapped.values() if path.is_relative_to(root)]


def test_shards_are_opened_when_they_are_first_used(root):
    reader = open_blocks(MappedReader, root)
    assert maps_of(root) == []
    read(reader, [7, 99, 6])
    assert sorted(maps_of(root)) == ["c.1.0.0.0", "c.16.0.0.0"]
    assert np.array_equal(read(reader, range(SAMPLES)), IMAGES)
    assert len(maps_of(root)) == 17


@pytest.mark.parametrize("shards", [LocalShards, FewCopies])
def test_several_threads_read_what_was_written(root, reader_class, shards):
    reader = open_blocks(reader_class, root, shards)
    order = np.random.default_rng(0).integers(0, SAMPLES, 2400)
    with ThreadPoolExecutor(4) as pool:
        batches = [*pool.map(lambda part: read(reader, part), np.split(order, 60))]
    assert np.array_equal(np.concatenate(batches), IMAGES[order])


def test_copies_that_may_be_deleted_do_not_stay_mapped_and_others_do_if_the_system_has_room(root, monkeypatch):
    few = open_blocks(MappedReader, root, FewCopies)
    assert np.array_equal(read(few, range(SAMPLES)), IMAGES)
    assert len(maps_of(root)) == 3
    del few
    assert maps_of(root) == []
    monkeypatch.setattr(mapped_reader, "map_limit", lambda: 5)
    some = open_blocks(MappedReader, root)
    assert np.array_equal(read(some, range(SAMPLES)), IMAGES)
    assert len(maps_of(root)) == 5


def test_links_of_one_file_share_a_map(root):
    for shard in range(1, 16):
        shard_path(root, shard).unlink()
        os.link(shard_path(root, 0), shard_path(root, shard))
    reader = open_blocks(MappedReader, root)
    expected = np.concatenate([np.tile(IMAGES[:6], (16, 1, 1, 1)), IMAGES[96:]])
    assert np.array_equal(read(reader, range(SAMPLES)), expected)
    assert len(maps_of(root)) == 2


@pytest.mark.parametrize("shards", [LocalShards, FewCopies])
def test_damage_is_named_when_a_shard_is_used(root, reader_class, shards):
    path = shard_path(root, 2)
    data = bytearray(path.read_bytes())
    data[-10] ^= 1
    path.write_bytes(data)
    reader = open_blocks(reader_class, root, shards)
    others = [*range(12), *range(18, SAMPLES)]
    assert np.array_equal(read(reader, others), IMAGES[others])
    for _ in range(2):
        with pytest.raises(CorruptStoreError, match=re.escape(f"{path}: the shard's index does not match")):
            read(reader, [0, 12])


@pytest.mark.parametrize("shards", [LocalShards, FewCopies])
def test_a_damaged_chunk_is_named_by_the_sample(root, reader_class, shards):
    path = shard_path(root, 5)
    data = bytearray(path.read_bytes())
    data[16:20] = b"\xff" * 4
    path.write_bytes(data)
    reader = open_blocks(reader_class, root, shards)
    with pytest.raises(CorruptStoreError, match=re.escape(f"{path}: sample 30 is corrupt: its block table")):
        read(reader, [99, *range(20, 31), 31])


def test_a_shard_that_is_lost_meanwhile_is_an_error_and_not_zeros(root, reader_class):
    shard_path(root, 3).unlink()  # as if it had been all zeros
    reader = open_blocks(reader_class, root)
    assert not read(reader, [18]).any()
    shard_path(root, 4).unlink()
    with pytest.raises(CorruptStoreError, match=re.escape(f"{shard_path(root, 4)}: can no longer be read (No such")):
        read(reader, [24])


def test_shards_of_a_store_that_replaces_another_are_not_taken_for_its_own(root, reader_class):
    reader = open_blocks(reader_class, root)
    assert np.array_equal(read(reader, [0]), IMAGES[:1])
    shutil.rmtree(root / "image")
    write_images(root, IMAGES[::-1], LAYOUT)
    with pytest.raises(CorruptStoreError, match="image: was replaced while the store was being read; open it again"):
        read(reader, [50])
