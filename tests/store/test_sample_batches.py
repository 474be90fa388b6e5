"""Batches without images: in step with those that have them."""

import numpy as np
import pytest

from store.errors import PlanError
from store.plans.shuffles import SHUFFLES
from tests.store.streams import assert_same, open_stream


def assert_same_samples(given, batches):
    assert len(given) == len(batches)
    for one, other in zip(given, batches, strict=True):
        assert np.array_equal(one.sample, other.sample)
        assert np.array_equal(one.label, other.label)
        assert one.columns.keys() == other.columns.keys()
        for name in one.columns:
            assert np.array_equal(one.columns[name], other.columns[name])


@pytest.mark.parametrize("shuffle", SHUFFLES)
@pytest.mark.parametrize("rank", [0, 1])
def test_they_are_the_batches_of_the_stream_epoch_after_epoch(made_up, shuffle, rank):
    options = {"shuffle": shuffle, "columns": "split", "rank": rank, "world_size": 2, "seed": 3}
    stream, other = open_stream(made_up, **options), open_stream(made_up, **options)
    for _ in range(2):
        assert_same_samples(list(stream.sample_batches()), list(other))
        assert stream.state_dict() == other.state_dict()


def test_they_move_the_position_as_the_stream_does(made_up):
    stream, other = open_stream(made_up), open_stream(made_up)
    without, whole = stream.sample_batches(), iter(other)
    for _ in range(4):
        assert_same_samples([next(without)], [next(whole)])
        assert stream.state_dict() == other.state_dict()
    with pytest.raises(PlanError, match="another iteration of this stream is under way"):
        next(iter(stream))
    without.close()
    assert_same(stream, whole)


def test_no_image_is_read(made_up):
    stream = open_stream(made_up)
    stream._reader = None
    assert sum(batch.sample.size for batch in stream.sample_batches()) == 350


def test_a_batch_without_images_has_a_short_repr(made_up):
    stream = open_stream(made_up, columns="split")
    assert repr(next(stream.sample_batches())) == "SampleBatch(16 samples, columns split)"
