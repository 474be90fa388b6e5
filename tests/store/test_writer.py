import hashlib
from pathlib import Path

import google_crc32c
import numpy as np
import pytest
import zarr
from hypothesis import example, given
from hypothesis import strategies as st

from store.blosc import Blocks, encode_samples
from store.files import write_whole
from store.layout import Layout, shard_path
from store.writer import SampleTable, flags, write_shard
from tests.examples import write_images
from tests.strategies import SHAPES, image, images, layouts


def bits(array):
    return np.ascontiguousarray(array).view(np.uint32)  # NaNs and -0.0 count, too


@st.composite
def image_arrays(draw):
    shape = draw(SHAPES)
    layout = draw(layouts(shape))
    return draw(images(draw(st.integers(1, 3 * layout.shard + 1)), shape)), layout


@given(image_arrays())
@example((np.zeros((12, 4, 4, 2), np.float32), Layout(sample_bytes=128, chunk=3, shard=12)))
def test_plain_zarr_reads_what_was_written(tmp_path_factory, drawn):
    images, layout = drawn
    root = tmp_path_factory.mktemp("store")
    write_images(root, images, layout)
    stored = zarr.open_array(root / "image", mode="r")[:]
    assert stored.shape == images.shape
    assert np.array_equal(bits(stored), bits(images))


@pytest.mark.parametrize("beyond", [-1, 0, 1])
def test_arrays_may_end_at_just_before_or_just_after_a_border(tmp_path, beyond):
    layout, random = Layout(sample_bytes=512, chunk=3, shard=6), np.random.default_rng(0)
    for k, count in enumerate((3 + beyond, 6 + beyond, 12 + beyond)):
        stack = np.stack([image(random, (8, 8, 2), "noise") for _ in range(count)])
        root = tmp_path / str(k)
        root.mkdir()
        write_images(root, stack, layout)
        assert np.array_equal(bits(zarr.open_array(root / "image", mode="r")[:]), bits(stack))
        assert len(list((root / "image").glob("c.*"))) == -(-count // 6)


def test_plain_zarr_reads_jets_of_125_by_125_by_3(tmp_path):
    layout, random = Layout.of(187_500), np.random.default_rng(0)
    stack = np.stack([image(random, (125, 125, 3), kind) for kind in ("sparse", "noise", "zeros", "sparse", "bits")])
    write_images(tmp_path, stack, layout)
    assert np.array_equal(bits(zarr.open_array(tmp_path / "image", mode="r")[:]), bits(stack))


def test_chunks_without_any_sample_take_no_bytes(tmp_path):
    layout = Layout(sample_bytes=512, chunk=2, shard=8)
    stack = np.stack([image(np.random.default_rng(k), (8, 8, 2), "noise") for k in range(3)])
    write_images(tmp_path, stack, layout)
    shard = shard_path(tmp_path, 0).read_bytes()
    index = np.frombuffer(shard[-4 * 16 - 4 : -4], "<u8").reshape(4, 2)
    assert np.all(index[2:] == 2**64 - 1)
    assert index[:2, 1].sum() + 4 * 16 + 4 == len(shard)
    assert google_crc32c.value(index.tobytes()) == int.from_bytes(shard[-4:], "little")


def test_a_shard_gives_its_sha256_and_leaves_no_other_file(tmp_path):
    layout = Layout.of(8_192)
    blocks = encode_samples(np.ones((5, 32, 32, 2), np.float32), layout)
    digest = write_shard(tmp_path / "c.0.0.0.0", blocks, layout)
    assert digest == hashlib.sha256((tmp_path / "c.0.0.0.0").read_bytes()).hexdigest()
    assert [path.name for path in tmp_path.iterdir()] == ["c.0.0.0.0"]


def test_the_same_samples_give_the_same_bytes(tmp_path):
    layout = Layout(sample_bytes=512, chunk=2, shard=4)
    stack = np.stack([image(np.random.default_rng(k), (8, 8, 2), "sparse") for k in range(4)])
    together = write_shard(tmp_path / "a", encode_samples(stack, layout), layout)
    alone = write_shard(tmp_path / "b", Blocks.join(encode_samples(one[None], layout) for one in stack), layout)
    assert together == alone


def test_split_ranges_follow_each_other():
    none = np.zeros(0)
    table = SampleTable(label=none, source_file=none, source_row=none, split_sizes=(7, 1, 2))
    assert table.split_ranges == {"train": [0, 7], "validation": [7, 8], "test": [8, 10]}


def test_flag_meanings_have_no_blanks_inside():
    assert flags(("photon", "my file.hdf5")) == {"flag_values": [0, 1], "flag_meanings": "photon my_file.hdf5"}


def test_a_file_that_cannot_be_written_whole_leaves_the_old_one_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "record"
    write_whole(path, b"old")

    def fill_disk(self, content):
        with self.open("wb") as file:
            file.write(content[:2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fill_disk)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, b"new content")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
