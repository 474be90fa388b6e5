import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.sparse import SparseImages
from tests.strategies import SHAPES, images


@given(st.data(), SHAPES, st.integers(0, 5))
def test_the_dense_images_are_what_they_were_bit_for_bit(data, shape, count):
    dense = data.draw(images(count, shape))
    sparse = SparseImages.of(dense)
    out = np.full(dense.shape, np.nan, np.float32)
    assert sparse.to_dense(out) is out
    assert out.tobytes() == sparse.to_dense().tobytes() == dense.tobytes()
    assert len(sparse) == count


@given(st.data(), SHAPES, st.integers(1, 4))
def test_hits_are_the_cells_whose_bits_are_not_all_zero_in_ascending_order(data, shape, count):
    dense = data.draw(images(count, shape))
    sparse = SparseImages.of(dense)
    bits = dense.view(np.uint32).reshape(count, -1)
    image, cell = np.nonzero(bits)
    assert sparse.position.tolist() == cell.tolist()
    assert sparse.value.tobytes() == bits[image, cell].tobytes()
    assert sparse.offset.tolist() == [0, *np.cumsum(np.count_nonzero(bits, axis=1))]


def test_a_negative_zero_and_a_nan_are_hits():
    dense = np.zeros((3, 2, 40, 1), np.float32)
    dense[1, 1, 5, 0], dense[1, 1, 39, 0] = -0.0, np.nan
    sparse = SparseImages.of(dense)
    assert sparse.position.tolist() == [45, 79]
    assert sparse.offset.tolist() == [0, 0, 2, 2]
    assert sparse.to_dense().tobytes() == dense.tobytes()


@pytest.mark.parametrize(("cells", "dtype"), [(65_536, np.uint16), (65_537, np.uint32)])
def test_positions_have_as_many_bits_as_the_cells_need(cells, dtype):
    dense = np.zeros((2, cells, 1, 1), np.float32)
    dense[1, [0, 70, -1]] = 1
    sparse = SparseImages.of(dense)
    assert sparse.position.dtype == dtype
    assert sparse.position.tolist() == [0, 70, cells - 1]
    assert sparse.nbytes == 3 * (4 + sparse.position.itemsize) + 3 * 8
    assert sparse.to_dense().tobytes() == dense.tobytes()


def test_a_view_of_other_images_is_read_as_it_looks():
    dense = np.random.default_rng(1).standard_normal((6, 5, 4, 2)).astype(np.float32)
    assert SparseImages.of(dense[::-2].transpose(0, 2, 1, 3)).to_dense().tolist() == (
        dense[::-2].transpose(0, 2, 1, 3).tolist()
    )


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"value": np.zeros(3)}, "value must be float32 (n,), got float64 (3,)"),
        ({"position": np.zeros(3, np.uint32)}, "position must be uint16 (n,), got uint32 (3,)"),
        ({"offset": np.array([0, 2])}, "value has 3 hits, position 3, and offset must be from 0 to 3, got [0] to 2"),
        ({"offset": np.array([], int)}, "value has 3 hits, position 3, and offset must be from 0 to 3, got [] to None"),
    ],
)
def test_arrays_that_do_not_fit_each_other_are_refused(changed, message):
    arrays = {"value": np.ones(3, np.float32), "position": np.arange(3, dtype=np.uint16), "offset": np.array([0, 3])}
    with pytest.raises(ValueError, match=re.escape(message)):
        SparseImages(**{**arrays, **changed}, shape=(2, 2, 1))


@pytest.mark.parametrize(
    ("position", "offset"), [([0, 1, 4], [0, 1, 3]), ([0, 1, 2], [0, 4, 3]), ([0, 1, 2], [0, -1, 3])]
)
def test_what_points_outside_an_image_is_refused(position, offset):
    sparse = SparseImages(np.ones(3, np.float32), np.array(position, np.uint16), np.array(offset), (2, 2, 1))
    with pytest.raises(ValueError, match=re.escape("offsets that do not ascend, or a position outside of (2, 2, 1)")):
        sparse.to_dense()


def test_other_images_and_other_outputs_are_refused():
    with pytest.raises(ValueError, match=re.escape("images must be float32 (n, ieta, iphi, channel), got float64")):
        SparseImages.of(np.zeros((1, 2, 2, 1)))
    with pytest.raises(ValueError, match=re.escape("out must be C-contiguous float32 (1, 2, 2, 1), got float32 (2,")):
        SparseImages.of(np.zeros((1, 2, 2, 1), np.float32)).to_dense(np.zeros((2, 2, 2, 1), np.float32))
