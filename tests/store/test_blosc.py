import numcodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store import blosc
from store.blosc import Blocks, decode_block, encode_samples, encode_with_numcodecs, join_blocks, zero_block
from store.layout import Layout
from tests.strategies import SHAPES, image, images, layouts


@st.composite
def some_images(draw):
    shape = draw(SHAPES)
    layout = draw(layouts(shape))
    return draw(images(draw(st.integers(1, layout.chunk)), shape)), layout


@st.composite
def images_that_hardly_shrink(draw):
    """Draw more images than Blosc compresses in one call, of values as in `images`, the first of them often zero."""
    shape = draw(st.sampled_from([(1, 32, 1), (8, 8, 2), (1, 257, 1), (3, 3, 2)]))
    stack = draw(images(draw(st.integers(1, 2 * blosc.GROUP + 3)), shape))
    zeros = np.random.default_rng(draw(st.integers(0, 99))).integers(0, draw(st.integers(1, 40)), len(stack))
    for one, count in zip(stack.reshape(len(stack), -1), zeros, strict=True):
        one[:count] = 0
    return stack


@given(images_that_hardly_shrink())
def test_blocks_are_those_that_numcodecs_makes(stack):
    layout = Layout.of(stack[0].nbytes)
    before, numcodecs.blosc.use_threads = numcodecs.blosc.use_threads, False
    try:
        assert list(encode_samples(stack, layout)) == encode_with_numcodecs(stack, layout)
    finally:
        numcodecs.blosc.use_threads = before


def test_without_the_function_of_numcodecs_its_public_functions_make_the_blocks(monkeypatch):
    layout = Layout.of(8_192)
    stack = np.stack([image(np.random.default_rng(k), (32, 32, 2), "sparse") for k in range(70)])
    expected = list(encode_samples(stack, layout))
    monkeypatch.setattr(blosc, "LZ4", 0)
    assert list(encode_samples(stack, layout)) == expected


@given(some_images())
def test_numcodecs_decodes_a_chunk_that_was_put_together(drawn):
    images, layout = drawn
    chunk, sizes = join_blocks(encode_samples(images, layout), layout)
    assert sizes.tolist() == [chunk.size]
    decoded = np.frombuffer(numcodecs.Blosc().decode(chunk), np.uint32).reshape(layout.chunk, -1)
    assert np.array_equal(decoded[: len(images)], images.view(np.uint32).reshape(len(images), -1))
    assert not decoded[len(images) :].any(), "samples that are not there are zeros"


@given(some_images())
def test_a_block_decodes_to_its_sample(drawn):
    images, layout = drawn
    for image_, block in zip(images, encode_samples(images, layout), strict=True):
        assert decode_block(block, layout.sample_bytes) == image_.tobytes()


@given(some_images())
def test_a_sample_has_the_same_block_in_any_company(drawn):
    images, layout = drawn
    alone = Blocks.join(encode_samples(image_[None], layout) for image_ in images)
    together = encode_samples(images, layout)
    # An incompressible image is stored if it is alone; among others it may be compressed without getting smaller. Both
    # are valid blocks.
    assert [decode_block(block, layout.sample_bytes) for block in alone] == [
        decode_block(block, layout.sample_bytes) for block in together
    ]
    assert alone.size.max() <= layout.sample_bytes + 4


@given(some_images())
def test_empty_images_are_counted(drawn):
    images, layout = drawn
    empty = sum(not image_.view(np.uint32).any() for image_ in images)
    assert encode_samples(images, layout).count(zero_block(layout)) == empty


@given(some_images(), st.data())
def test_chunks_are_joined_one_after_another(drawn, data):
    images, layout = drawn
    blocks = list(encode_samples(images, layout))
    order = data.draw(st.lists(st.integers(0, len(images) - 1), min_size=1, max_size=3 * layout.chunk))
    chosen = [blocks[k] for k in order]
    content, sizes = join_blocks(Blocks.of(chosen), layout, tail=3)
    parts = [chosen[start : start + layout.chunk] for start in range(0, len(order), layout.chunk)]
    alone = [bytes(join_blocks(Blocks.of(part), layout)[0]) for part in parts]
    assert bytes(content[:-3]) == b"".join(alone)
    assert sizes.tolist() == [len(chunk) for chunk in alone]


@pytest.mark.parametrize("kind", ["zeros", "sparse", "constant", "noise", "bits"])
def test_jets_of_125_by_125_by_3_are_blocks_too(kind):
    shape = (125, 125, 3)
    layout = Layout.of(187_500)
    stack = np.stack([image(np.random.default_rng(k), shape, kind) for k in range(layout.chunk)])
    blocks = encode_samples(stack, layout)
    assert [decode_block(block, layout.sample_bytes) for block in blocks] == [image_.tobytes() for image_ in stack]
    assert bytes(numcodecs.Blosc().decode(join_blocks(blocks, layout)[0])) == stack.tobytes()


def test_sparse_images_become_small_and_noise_does_not_grow():
    layout, random = Layout.of(8_192), np.random.default_rng(0)
    sizes = {
        kind: encode_samples(image(random, (32, 32, 2), kind)[None], layout).size.max()
        for kind in ("zeros", "sparse", "noise")
    }
    assert sizes["zeros"] < 100
    assert sizes["sparse"] < 2_000
    assert sizes["noise"] <= 8_192 + 4


@pytest.mark.parametrize("cut", [1, 5, 200])
def test_a_block_that_is_cut_short_is_refused(cut):
    layout = Layout.of(8_192)
    (block,) = encode_samples(image(np.random.default_rng(0), (32, 32, 2), "sparse")[None], layout)
    with pytest.raises(RuntimeError):
        decode_block(block[:-cut], layout.sample_bytes)
