import mmap
import re
from pathlib import Path

import numpy as np
import pytest

from store.buffers import BufferPool, huge_pages

SHAPE = (3, 4, 4, 2)


def test_a_buffer_that_nobody_holds_is_given_again():
    pool = BufferPool(SHAPE, keep=1)
    first = pool.take()
    address = first.ctypes.data
    del first
    assert pool.take().ctypes.data == address


def test_a_buffer_that_somebody_holds_is_not_given_again():
    pool = BufferPool(SHAPE, keep=2)
    held = [pool.take() for _ in range(5)]
    assert len({buffer.ctypes.data for buffer in held}) == 5


def test_a_view_or_a_memoryview_holds_its_buffer():
    pool = BufferPool(SHAPE, keep=2)
    for hold in (
        lambda a: a[1:],
        lambda a: a[0, 1],
        lambda a: a.T,
        lambda a: memoryview(a),
        lambda a: a.view(np.int32),
    ):
        buffer = pool.take()
        address, holder = buffer.ctypes.data, hold(buffer)
        del buffer
        assert pool.take().ctypes.data != address
        del holder
        assert pool.take().ctypes.data == address


def test_no_more_buffers_are_kept_than_asked():
    pool = BufferPool(SHAPE, keep=2)
    made = []
    pool.allocate = lambda shape: made.append(None) or np.empty(shape, np.float32)
    held = [pool.take() for _ in range(4)]
    assert len(made) == len(held) == 4
    del held
    held = [pool.take() for _ in range(4)]
    assert len(held) == 4
    assert len(made) == 6, "two of the four were kept"


def test_buffers_begin_with_a_page():
    buffer = huge_pages(SHAPE)
    assert (buffer.shape, buffer.dtype) == (SHAPE, np.float32)
    assert buffer.ctypes.data % mmap.PAGESIZE == 0
    assert buffer.flags.writeable
    assert huge_pages((0, *SHAPE[1:])).size == 0


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="needs Linux, to see what memory is mapped how")
def test_buffers_are_private_memory_for_which_huge_pages_are_asked():
    buffer = huge_pages((16, 125, 125, 3))
    maps = re.split(r"^(?=[0-9a-f]+-[0-9a-f]+ )", Path("/proc/self/smaps").read_text(), flags=re.MULTILINE)[1:]
    spans = [[int(end, 16) for end in text.split(maxsplit=1)[0].split("-")] for text in maps]
    (here,) = [text for text, (start, end) in zip(maps, spans, strict=True) if start <= buffer.ctypes.data < end]
    assert here.split()[1] == "rw-p"
    assert "hg" in re.search(r"VmFlags: (.*)", here)[1].split()
