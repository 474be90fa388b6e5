"""Batches in sparse form: the images of the dense batches, bit for bit, in the same order."""

import copy
import pickle  # noqa: TID251  as worker processes do

import numpy as np
import pytest

from store.errors import PlanError
from store.plans.shuffles import SHUFFLES
from store.readers import batch_readers, sample_reader
from store.stream import SparseBatch
from tests.store.streams import BATCH_BYTES, open_stream


def change(batch, epoch):
    """Change images in place by their sample and the epoch alone."""
    batch.image[:] *= (batch.sample % 3 + epoch)[:, None, None, None]


def assert_same_batches(sparse, dense):
    sparse, dense = list(sparse), list(dense)
    assert len(sparse) == len(dense)
    for one, other in zip(sparse, dense, strict=True):
        assert isinstance(one, SparseBatch)
        assert one.images.to_dense().tobytes() == other.image.tobytes()
        assert np.array_equal(one.sample, other.sample)
        assert np.array_equal(one.label, other.label)
        assert {name: values.tolist() for name, values in one.columns.items()} == {
            name: values.tolist() for name, values in other.columns.items()
        }


@pytest.mark.parametrize("kind", ["blocks", "blocks, by pread", "zarr"])
@pytest.mark.parametrize("shuffle", SHUFFLES)
@pytest.mark.parametrize(
    "options",
    [
        {"threads": 4, "columns": "split"},
        {"transform": change, "rank": 1, "world_size": 2},
        {"where": "source_row % 3 == 1", "batch_size": 7},
        {"balance": "label", "samples": 100},
    ],
    ids=["threads", "rank", "where", "balance"],
)
def test_they_are_the_dense_batches(made_up, shuffle, kind, options, monkeypatch):
    monkeypatch.setattr(batch_readers, "PIECE", BATCH_BYTES // 3)
    if kind == "zarr":
        monkeypatch.setattr(sample_reader, "has_sample_blocks", lambda image: False)
    if kind == "blocks, by pread":
        monkeypatch.setenv(sample_reader.READER_VARIABLE, "pread")
    sparse = open_stream(made_up, shuffle=shuffle, sparse=True, **options)
    dense = open_stream(made_up, shuffle=shuffle, **options)
    assert sparse.reader == kind
    for _ in range(2):
        assert_same_batches(sparse, dense)
        assert sparse.state_dict() == dense.state_dict()


def test_a_state_of_dense_batches_continues_with_sparse_ones_and_the_other_way_round(made_up):
    for first in (True, False):
        begun, other = open_stream(made_up, sparse=first, seed=4), open_stream(made_up, sparse=not first, seed=4)
        iteration = iter(begun)
        for _ in range(5):
            next(iteration)
        other.load_state_dict(begun.state_dict())
        assert_same_batches(*((iteration, other) if first else (other, iteration)))


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda stream: pickle.loads(pickle.dumps(stream))])
def test_a_copy_is_sparse_too_and_at_the_same_position(made_up, again):
    stream, dense = open_stream(made_up, sparse=True), open_stream(made_up)
    next(iter(stream))
    next(iter(dense))
    assert_same_batches(again(stream), dense)
    assert repr(again(stream)) == repr(stream)


def test_batches_may_be_kept(made_up):
    kept = list(open_stream(made_up, sparse=True, threads=4))
    assert_same_batches(kept, open_stream(made_up))


def test_memory_counts_every_cell_as_a_hit(made_up):
    stream = open_stream(made_up, sparse=True)
    batch = next(iter(stream))
    assert stream.memory == (2 * 2 + 1) * stream._batches.batch_bytes
    assert batch.images.nbytes <= stream._batches.batch_bytes <= 1.5 * BATCH_BYTES + 512
    with pytest.raises(PlanError, match="is less than two batches of"):
        open_stream(made_up, sparse=True, memory=2 * BATCH_BYTES)


def test_buffers_grow_to_what_batches_need_and_not_to_what_they_could_need(made_up):
    stream = open_stream(made_up, sparse=True, transform=lambda batch, epoch: batch.image.fill(1 - epoch))
    cells = int(np.prod(stream.image_shape))
    for batch in stream:
        assert batch.images.offset.tolist() == [cells * k for k in range(batch.sample.size + 1)]
    assert stream.buffers.take().nbytes <= stream._batches.batch_bytes
    for batch in stream:
        assert batch.images.value.size == 0


def test_a_sparse_batch_has_a_short_repr(made_up):
    batch = next(iter(open_stream(made_up, sparse=True)))
    assert repr(batch) == f"SparseBatch(16 samples, images {batch.images.shape}, {batch.images.value.size} hits)"
