"""Shared by the tests of streams: opening a stream over the made-up store, and checking its batches."""

import numpy as np

from store.stream import BatchStream
from tests.examples import SHAPE, tell_tale_images, tell_tale_labels

BATCH_BYTES = 16 * 4 * int(np.prod(SHAPE))  # of 16 images
IMAGES, LABELS = tell_tale_images(500), tell_tale_labels(500)


def open_stream(path, **options):
    return BatchStream(path, **{"split": "train", "batch_size": 16, **options})


def assert_true(batch):
    """Assert that each row of a batch is the image and the label of the sample at its position."""
    assert (batch.image.dtype, batch.label.dtype, batch.sample.dtype) == (np.float32, np.uint8, np.int64)
    assert np.array_equal(batch.image, IMAGES[batch.sample])
    assert np.array_equal(batch.label, LABELS[batch.sample])


def assert_same(ones, others):
    ones, others = list(ones), list(others)
    assert len(ones) == len(others)
    for one, other in zip(ones, others, strict=True):
        assert np.array_equal(one.sample, other.sample)
        assert np.array_equal(one.image, other.image)
        assert np.array_equal(one.label, other.label)


def samples(batches):
    return np.concatenate([batch.sample for batch in batches])
