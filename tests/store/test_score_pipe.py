import io
import os
import struct
import threading

import numpy as np
import pytest

from store.score_pipe import receive_blocks, receive_scores, send_block, send_scores
from tests.examples import tell_tale_images

IMAGES = tell_tale_images(7)


def sent(*blocks):
    stream = io.BytesIO()
    for images, variables in blocks:
        send_block(stream, images, variables)
    return stream.getvalue()


def test_blocks_arrive_as_they_were_sent():
    variables = np.arange(14, dtype=np.float32).reshape(7, 2)
    blocks = [(IMAGES, variables), (IMAGES[:0], variables[:0]), (IMAGES[3:], variables[3:, :0])]
    received = list(receive_blocks(io.BytesIO(sent(*blocks))))
    for inputs, (images, values) in zip(received, blocks, strict=True):
        assert inputs[0].dtype == np.float32
        assert np.array_equal(inputs[0], images)
        assert len(inputs) == (2 if values.shape[1] else 1)
        assert values.shape[1] == 0 or np.array_equal(inputs[1], values)


def test_a_block_is_laid_out_as_documented():
    variables = np.array([[1, 2], [3, 4]], np.float32)
    data = sent((IMAGES[:2], variables))
    assert struct.unpack("<5q", data[:40]) == (2, *IMAGES.shape[1:], 2)
    assert data[40:] == IMAGES[:2].astype("<f4").tobytes() + struct.pack("<4f", 1, 2, 3, 4)


def test_views_and_other_types_are_sent_as_contiguous_float32():
    images = IMAGES.astype(np.float64)[::2, :, ::-1]
    variables = np.arange(8.0).reshape(2, 4).T
    ((received, values),) = receive_blocks(io.BytesIO(sent((images, variables))))
    assert np.array_equal(received, images.astype(np.float32))
    assert np.array_equal(values, variables)


@pytest.mark.parametrize("missing", [1, 8, 56, 57, 56 + IMAGES.nbytes, 56 + IMAGES.nbytes + 1])
def test_a_block_that_ends_early_is_dropped(missing):
    whole = sent((IMAGES, np.zeros((7, 2), np.float32)))
    assert len(list(receive_blocks(io.BytesIO(whole + whole[:-missing])))) == 1


def test_scores_arrive_as_they_were_sent_or_not_at_all():
    stream = io.BytesIO()
    send_scores(stream, np.array([0.25, 1e-300, 1.0]))
    data = stream.getvalue()
    assert data == struct.pack("<q3d", 1, 0.25, 1e-300, 1.0)
    assert receive_scores(io.BytesIO(data), 3).tolist() == [0.25, 1e-300, 1.0]
    assert receive_scores(io.BytesIO(data[:-1]), 3) is None
    assert receive_scores(io.BytesIO(b""), 3) is None
    assert receive_scores(io.BytesIO(data[:7]), 3) is None
    for columns in (-1, 0, 256, 2**62):
        assert receive_scores(io.BytesIO(struct.pack("<q", columns) + data), 3) is None


def test_scores_of_more_classes_arrive_sample_by_sample():
    scores, stream = np.arange(12.0).reshape(4, 3), io.BytesIO()
    send_scores(stream, np.asfortranarray(scores))
    data = stream.getvalue()
    assert data == struct.pack("<q12d", 3, *range(12))
    assert np.array_equal(receive_scores(io.BytesIO(data), 4), scores)
    assert receive_scores(io.BytesIO(data[:-8]), 4) is None


def test_blocks_larger_than_a_pipe_and_their_scores_go_through_real_pipes():
    images = np.tile(IMAGES, (200, 1, 1, 1))
    inner, outer = [os.pipe() for _ in range(2)]

    def model():
        with os.fdopen(inner[0], "rb") as questions, os.fdopen(outer[1], "wb") as answers:
            for (block,) in receive_blocks(questions):
                send_scores(answers, block[:, 0, 0, 0].astype(np.float64))

    thread = threading.Thread(target=model)
    thread.start()
    with os.fdopen(outer[0], "rb") as answers, os.fdopen(inner[1], "wb") as questions:
        for part in (images, images[:5]):
            send_block(questions, part, np.empty((len(part), 0), np.float32))
            assert np.array_equal(receive_scores(answers, len(part)), part[:, 0, 0, 0])
    thread.join(20)
    assert not thread.is_alive()
