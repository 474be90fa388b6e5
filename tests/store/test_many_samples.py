"""Stores and plans of very many samples: what is left out when they are opened, and orders of ten billion."""

import re

import numpy as np
import pytest

from store import coordinates, integrity, opening, stream
from store.compiled.permutation import fill_full, make_keys
from store.errors import CorruptStoreError, StoreError
from store.even_chunks import samples_per_chunk
from store.opening import open_dataset, open_store
from store.plans.plan import BatchPlan
from tests.examples import write_store
from tests.store.streams import assert_true, open_stream

TEN_BILLION = 10**10


@pytest.fixture
def many(monkeypatch):
    """Treat stores of more than 100 samples as large."""
    for module in (coordinates, integrity, opening, stream):
        monkeypatch.setattr(module, "MANY", 100)
    monkeypatch.setattr(integrity, "SMALL_BYTES", 0)


def change(path, position, value):
    """Change one value of a column of bytes in place."""
    with path.open("r+b") as file:
        file.seek(position)
        file.write(bytes([value]))


def test_a_large_store_gives_the_same_batches_and_dataset(made_up, many):
    for batch in open_stream(made_up):
        assert_true(batch)
    dataset = open_dataset(made_up, "validation")
    assert dataset.sizes["sample"] == 53
    assert dataset.class_name.values.tolist() == [("photon", "electron")[label] for label in dataset.label.values]
    assert dataset.class_name[3:5].values.tolist() == dataset.class_name.values[3:5].tolist()
    assert dataset.source_row.groupby("class_name").count().sum() == 53
    assert not dataset.source_row.values.flags.writeable
    assert np.array_equal(dataset.source_row.values, np.arange(350, 403))


def test_a_label_of_a_large_store_that_is_no_class_is_named_when_it_is_used(tmp_path, many):
    path = write_store(tmp_path / "store.zarr")
    change(path / "label" / "c" / "0", 111, 7)
    batches = open_stream(path, shuffle="none")
    with pytest.raises(CorruptStoreError, match=re.escape(f"{path / 'label'}[111] = 7: labels must be below 2")):
        list(batches)
    names = open_dataset(path).class_name
    assert names[:111].values.shape == (111,)
    with pytest.raises(StoreError, match="labels must be below 2, got 7"):
        _ = names[105:120].values


@pytest.mark.parametrize("position", [0, 349, 350, 402, 403, 499])
def test_the_split_of_a_large_store_is_checked_where_it_changes(tmp_path, many, position):
    path = write_store(tmp_path / "store.zarr")
    change(path / "split" / "c" / "0", position, 3)
    with pytest.raises(CorruptStoreError, match="disagrees with the attribute split_ranges"):
        open_store(path)


def test_images_have_at_most_some_ten_thousand_dask_chunks():
    class Image:
        dtype = np.dtype("float32")

        def __init__(self, samples, shard):
            self.shape, self.chunks, self.shards = (samples, 32, 32, 2), (64, 32, 32, 2), (shard, 32, 32, 2)

    assert samples_per_chunk(Image(10**9, 65_536)) == 61_056
    assert samples_per_chunk(Image(10**6, 65_536)) == 4096
    assert samples_per_chunk(Image(500, 512)) == 512


@pytest.mark.parametrize("n", [TEN_BILLION, 2**33, 10**11 + 3])
def test_a_permutation_of_ten_billion_is_one(n):
    keys = make_keys(5)
    first, last = np.empty(200_000, np.int64), np.empty(200_000, np.int64)
    fill_full(0, 0, n, keys, first)
    fill_full(n - last.size, 0, n, keys, last)
    both = np.concatenate([first, last])
    assert 0 <= both.min() < n / 1000
    assert n - n / 1000 < both.max() < n
    assert np.unique(both).size == both.size
    share = np.histogram(both, 20, (0, n))[0] / both.size
    assert np.abs(share - 1 / 20).max() < 5 * np.sqrt(1 / 20 / both.size)


@pytest.mark.parametrize("shuffle", ["full", "window", "chunks", "none"])
def test_batches_of_ten_billion_samples_are_computed_one_by_one(shuffle):
    ranks = [
        BatchPlan(
            start=7,
            stop=7 + TEN_BILLION,
            batch_size=512,
            shuffle=shuffle,
            shard=65_536,
            seed=1,
            rank=rank,
            world_size=4,
        )
        for rank in range(4)
    ]
    assert {len(plan) for plan in ranks} == {-(-TEN_BILLION // 2048)}
    places = [0, 1, len(ranks[0]) // 2, len(ranks[0]) - 1]
    batches = [plan[place] for plan in ranks for place in places]
    seen = np.concatenate(batches)
    assert np.unique(seen).size == seen.size
    assert seen.min() >= 7
    assert seen.max() < 7 + TEN_BILLION
    assert all(np.array_equal(plan[places[2]], again) for plan, again in zip(ranks, batches[2::4], strict=True))
