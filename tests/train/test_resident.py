"""The framework-free part of resident images: reading a split once, and looking up the batches of an epoch."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import store
from store.batch import Batch
from store.datasets import DatasetSpec
from store.errors import PlanError
from store.sparse import SparseImages
from tests.examples import shape_spec
from tests.strategies import images
from train.augmentation import SYMMETRIES, Augmentation
from train.resident import ResidentSplit, reading_stream, resident_epochs

MEMORY = 64 << 20
CUT = "source_row >= 40"


def open_stream(path: Path, **options) -> store.BatchStream:
    return store.BatchStream(path, **{"split": "train", "batch_size": 50, "seed": 3, **options})


def read(stream: store.BatchStream, **options) -> ResidentSplit:
    return ResidentSplit.read(stream.plan, reading_stream(stream, MEMORY, 1), **options)


@pytest.mark.parametrize("options", [{}, {"where": CUT}, {"samples": 70}, {"balance": "class", "where": CUT}])
def test_a_split_is_read_as_it_is_in_the_store(showers: Path, options: dict) -> None:
    stream, counted = open_stream(showers, **options), []
    split = read(stream, show=counted.append)
    everything = np.concatenate([batch.sample for batch in open_stream(showers, **options | {"balance": None})])
    np.testing.assert_array_equal(split.index.sample, np.sort(everything))
    assert sum(counted) == split.index.sample.size == len(split.images)
    dense = store.open_dataset(showers).image.values[split.index.sample]
    np.testing.assert_array_equal(split.images.to_dense().view(np.uint32), dense.view(np.uint32))


def test_memory_that_was_expected_to_be_enough_grows(showers: Path) -> None:
    one, other = (read(open_stream(showers), hits=hits) for hits in (0.5, 500))
    np.testing.assert_array_equal(one.images.value, other.images.value)
    np.testing.assert_array_equal(one.images.position, other.images.position)
    assert one.nbytes == 6 * one.images.value.size + 16 * 240


def test_more_bytes_than_the_limit_are_refused(showers: Path) -> None:
    size = read(open_stream(showers)).nbytes
    assert read(open_stream(showers), limit=size).nbytes == size
    with pytest.raises(MemoryError):
        read(open_stream(showers), limit=size - 1)


@pytest.mark.parametrize("at_once", [1, 2, 1000])
@pytest.mark.parametrize("options", [{}, {"where": CUT, "balance": "class"}, {"world_size": 3, "rank": 1}])
def test_rows_are_those_of_the_stream_in_its_order(
    showers: Path, options: dict, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("train.resident.SAMPLES_AT_ONCE", at_once * 50)
    stream, plain = open_stream(showers, **options), open_stream(showers, **options)
    split = read(stream)
    for state in ({}, {"epoch": 1, "batch": 1}):
        for each in (stream, plain):
            each.load_state_dict(each.state_dict() | state)
        batches = iter(list(plain))
        for part in resident_epochs(split.index, stream):
            assert len(part) <= at_once
            assert stream.epoch == plain.epoch - 1, "the epoch is over when its last batches have been used"
            for i in range(len(part)):
                batch, chosen = next(batches), slice(part.bounds[i], part.bounds[i + 1])
                np.testing.assert_array_equal(part.sample[chosen], batch.sample)
                np.testing.assert_array_equal(part.label[chosen], batch.label)
                np.testing.assert_array_equal(split.index.sample[part.rows[chosen]], batch.sample)
                hits = np.diff(part.begin)[chosen]
                np.testing.assert_array_equal(hits, np.count_nonzero(batch.image.view(np.uint32), axis=(1, 2, 3)))
        assert next(batches, None) is None
        assert stream.state_dict() == plain.state_dict()


def test_samples_that_were_not_read_are_refused(showers: Path) -> None:
    for options in ({"where": CUT}, {"samples": 70}):
        with pytest.raises(PlanError, match="not among those in memory"):
            list(resident_epochs(read(open_stream(showers, **options)).index, open_stream(showers)))


def test_given_plans_and_other_transforms_are_refused(showers: Path) -> None:
    with pytest.raises(PlanError, match="not those of a given plan"):
        reading_stream(store.BatchStream(showers, plan=[np.arange(3)]), MEMORY, 1)
    stream = open_stream(showers, transform=lambda batch, epoch: None)
    with pytest.raises(PlanError, match="give the stream an Augmentation"):
        list(resident_epochs(read(stream).index, stream))


@given(data=st.data(), name=st.sampled_from(SYMMETRIES), channels=st.integers(1, 3), epoch=st.integers(0, 9))
def test_moved_positions_are_those_of_the_images_that_are_flipped(
    data: st.DataObject, name: str, channels: int, epoch: int
) -> None:
    rows, columns = (5, 5) if "rotations" in name else (6, 7)
    spec: DatasetSpec = shape_spec((rows, columns, channels))
    dense = data.draw(images(20, spec.image_shape))
    sample = np.arange(100, 120)
    augmentation, sparse = Augmentation(name=name, spec=spec, seed=1), SparseImages.of(dense)
    moves, codes = augmentation.moves(), augmentation.codes(sample, epoch)
    image = np.repeat(np.arange(20), np.diff(sparse.offset))
    moved = np.zeros((20, rows * columns * channels), np.uint32)
    moved[image, moves[codes[image], sparse.position]] = sparse.value.view(np.uint32)
    augmentation(Batch(dense, np.zeros(20, np.uint8), sample), epoch)
    np.testing.assert_array_equal(moved, dense.view(np.uint32).reshape(20, -1))
