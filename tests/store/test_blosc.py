import numcodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.blosc import decode_block, encode_samples, join_blocks
from store.layout import Layout
from tests.strategies import SHAPES, image, images, layouts


@st.composite
def some_images(draw):
    shape = draw(SHAPES)
    layout = draw(layouts(shape))
    return draw(images(draw(st.integers(1, layout.chunk)), shape)), layout


@given(some_images())
def test_numcodecs_decodes_a_chunk_that_was_put_together(drawn):
    images, layout = drawn
    chunk = join_blocks(encode_samples(images, layout), layout)
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
    alone = [encode_samples(image_[None], layout)[0] for image_ in images]
    together = encode_samples(images, layout)
    # An incompressible image is stored if it is alone; among others it may be compressed without getting smaller. Both
    # are valid blocks.
    assert [decode_block(block, layout.sample_bytes) for block in alone] == [
        decode_block(block, layout.sample_bytes) for block in together
    ]
    assert max(map(len, alone)) <= layout.sample_bytes + 4


@pytest.mark.parametrize("kind", ["zeros", "sparse", "constant", "noise", "bits"])
def test_jets_of_125_by_125_by_3_are_blocks_too(kind):
    shape = (125, 125, 3)
    layout = Layout.of(187_500)
    stack = np.stack([image(np.random.default_rng(k), shape, kind) for k in range(layout.chunk)])
    blocks = encode_samples(stack, layout)
    assert [decode_block(block, layout.sample_bytes) for block in blocks] == [image_.tobytes() for image_ in stack]
    assert bytes(numcodecs.Blosc().decode(join_blocks(blocks, layout))) == stack.tobytes()


def test_sparse_images_become_small_and_noise_does_not_grow():
    layout, random = Layout.of(8_192), np.random.default_rng(0)
    sizes = {
        kind: max(map(len, encode_samples(image(random, (32, 32, 2), kind)[None], layout)))
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
