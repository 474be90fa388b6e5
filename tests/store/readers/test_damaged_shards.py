"""Damage of an index, a chunk or a block ends in an error that names the shard, and never in a crash."""

import re
import subprocess
import sys
from pathlib import Path

import google_crc32c
import numpy as np
import pytest

from store.errors import CorruptStoreError
from store.layout import shard_path
from store.readers.sample_reader import ZarrReader
from tests.examples import tell_tale_images, write_images
from tests.store.readers.block_images import LAYOUT, SHAPE, open_blocks, open_image, read

ROOT = Path(__file__).parents[3]


def replace(path, content):
    """Replace a file by another one; the old one may still be mapped."""
    path.unlink()
    path.write_bytes(content)


def damage_empty(data):
    return b""


def damage_short(data):
    return data[:20]


def damage_cut(data):
    return data[:-1]


def damage_index(data):
    return data[:-10] + bytes([data[-10] ^ 1]) + data[-9:]


def with_index(data, at, value):
    """Return a shard of two chunks with another number in its index, whose checksum is right."""
    index = np.frombuffer(data[-36:-4], "<u8").copy()
    index[at] = value
    return data[:-36] + index.tobytes() + google_crc32c.value(index.tobytes()).to_bytes(4, "little")


def damage_far(data):
    return with_index(data, 0, 2**63)


def damage_behind(data):
    return with_index(data, 2, len(data) - 35)


def damage_long(data):
    return with_index(data, 3, len(data))


def damage_endless(data):
    return with_index(data, 1, 2**64 - 1)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (damage_empty, "the shard is empty"),
        (damage_short, "20 bytes are too few for the shard's index"),
        (damage_cut, "the shard's index does not match its checksum"),
        (damage_index, "the shard's index does not match its checksum"),
        (damage_far, "the shard's index points outside the shard"),
        (damage_behind, "the shard's index points outside the shard"),
        (damage_long, "the shard's index points outside the shard"),
        (damage_endless, "the shard's index points outside the shard"),
    ],
)
def test_a_damaged_index_is_named_when_the_store_is_opened(stored, damage, reason):
    root, reader = stored
    path = shard_path(root, 2)
    replace(path, damage(path.read_bytes()))
    with pytest.raises(CorruptStoreError, match=re.escape(f"{path}: {reason}")):
        open_blocks(type(reader), root)


@pytest.mark.parametrize(
    ("at", "value", "reason"),
    [
        (0, 3, "its Blosc header does not belong to this array"),
        (2, 0xF0, "its Blosc header does not belong to this array"),
        (2, 0x31, "its Blosc header does not belong to this array"),
        (4, 77, "its Blosc header does not belong to this array"),
        (8, 77, "its Blosc header does not belong to this array"),
        (19, 0x7F, "its block table points outside the chunk"),
        (16, 0, "its block table points outside the chunk"),
        (31, 0x7F, "its block table points outside the chunk"),
        (31, 0xFF, "its block table points outside the chunk"),
    ],
    ids=["version", "codec", "filter", "size", "block size", "far offset", "offset into the table", "long", "negative"],
)
def test_a_damaged_chunk_is_named_when_it_is_read(stored, at, value, reason):
    root, reader = stored
    path = shard_path(root, 1)
    data = bytearray(path.read_bytes())
    data[at] = value
    replace(path, data)
    reader = open_blocks(type(reader), root)
    assert read(reader, [0, 5, 9, 19], SHAPE).any(axis=(1, 2, 3)).all(), "the rest can still be read"
    with pytest.raises(CorruptStoreError, match=re.escape(f"{path}: sample 6 is corrupt: {reason}")):
        read(reader, [0, 6, 19], SHAPE)


def test_a_block_that_does_not_decode_is_named(stored):
    root, reader = stored
    path = shard_path(root, 0)
    data = bytearray(path.read_bytes())
    data[32:48] = b"\xff" * 16
    replace(path, data)
    with pytest.raises(CorruptStoreError, match=re.escape(f"{path}: sample 0 is corrupt: a block does not decode")):
        read(open_blocks(type(reader), root), [5, 0], SHAPE)


def test_the_zarr_reader_names_what_it_cannot_read(tmp_path):
    write_images(root := tmp_path, tell_tale_images(20, SHAPE), LAYOUT)
    path = shard_path(root, 1)
    path.write_bytes(damage_index(path.read_bytes()))
    with pytest.raises(CorruptStoreError, match=r"image/c\.1\.0\.0\.0: samples 6 to 7 cannot be read"):
        read(ZarrReader(open_image(root)), [7, 0, 6, 5], SHAPE)


def test_random_damage_ends_in_a_named_error_or_other_values_but_never_in_a_crash(tmp_path):
    # in a process of its own, where a read or write out of bounds shows as a signal
    fuzz = subprocess.run(
        [sys.executable, "-m", "tests.store.readers.fuzz_shards", tmp_path],
        cwd=ROOT, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert fuzz.returncode == 0, f"exit status {fuzz.returncode}\n{fuzz.stderr[-2000:]}"
    counts = list(map(int, fuzz.stdout.split()))
    assert len(counts) == 4
    assert min(counts) > 100, "damage must often be found, and must often be harmless"
