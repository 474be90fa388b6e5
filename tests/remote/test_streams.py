"""Streams of a store at a URL: what they fetch, and in which order they give its samples."""

import itertools
import json
import pickle  # noqa: TID251
import re
import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from store.errors import PlanError, StateError
from store.locations import Url
from store.opening import open_store
from store.plans.shuffles import SHUFFLES
from tests.examples import tell_tale_images
from tests.store.streams import assert_same, open_stream, samples


def cached(cache: Path) -> set[int]:
    """Return the numbers of the shards in a cache."""
    return {int(path.name.split(".")[1]) for path in cache.glob("stores/*/image/c.*")}


def needed(stream, batches) -> set[int]:
    return set((samples(batches) // 64).tolist())


@pytest.mark.parametrize("shuffle", [*SHUFFLES, "auto"])
def test_the_batches_are_those_of_the_store_in_a_folder(remote_store: Url, local_store: Path, shuffle: str) -> None:
    local = "window" if shuffle == "auto" else shuffle
    assert_same(open_stream(remote_store, shuffle=shuffle), open_stream(local_store, shuffle=local))


def test_a_stream_fetches_what_it_reads_and_no_more(remote_store: Url, cache: Path) -> None:
    stream = open_stream(remote_store, split="test", shuffle="window")
    assert cached(cache) == set()
    assert needed(stream, list(stream)) == cached(cache) == {6, 7}


def test_shards_of_the_coming_batches_are_fetched_before_they_are_read(remote_store: Url, cache: Path) -> None:
    batches = iter(open_stream(remote_store, batch_size=8, shuffle="none", threads=1))
    first = next(batches)  # and two batches that were read ahead
    for _ in range(200):
        if len(cached(cache)) == 6:
            break
        time.sleep(0.1)
    assert cached(cache) == set(range(6))
    assert first.sample.max() < 64


@pytest.mark.parametrize("fill", ["empty", "full"])
@pytest.mark.parametrize("epoch", [0, 1])
def test_an_epoch_resumes_in_the_order_in_which_it_began(remote_store: Url, cache: Path, epoch: int, fill: str) -> None:
    stream = open_stream(remote_store, shuffle="auto", seed=4)
    assert "shuffle='window' (auto)" in repr(stream)
    for _ in range(epoch):
        list(stream)
    assert stream.plan.identity["shuffle"] == ["window", "full"][epoch]
    list(itertools.islice(stream, 5))
    state = json.loads(json.dumps(stream.state_dict()))
    rest = [*stream, *stream]
    assert stream.plan.identity["shuffle"] == "full", "all shards are here after an epoch"
    if fill == "empty":
        shutil.rmtree(cache / "stores")
    resumed = open_stream(remote_store, shuffle="auto", seed=4)
    resumed.load_state_dict(state)
    assert_same(rest, [*resumed, *resumed])


def test_a_state_of_an_order_that_is_never_chosen_is_refused(remote_store: Url) -> None:
    state = open_stream(remote_store, shuffle="none").state_dict()
    with pytest.raises(StateError, match="shuffle='none', this stream 'window'"):
        open_stream(remote_store, shuffle="auto").load_state_dict(state)


def test_a_full_shuffle_waits_for_all_shards_and_says_so(remote_store: Url, cache: Path, capsys) -> None:
    stream = open_stream(remote_store)
    next(iter(stream))
    assert cached(cache) == set(range(6))
    assert "fetching 6 of 6 shards; shuffle='full' needs all of them at once" in capsys.readouterr().err
    next(iter(open_stream(remote_store)))
    assert capsys.readouterr().err == ""


def test_a_full_shuffle_of_more_than_the_cache_holds_is_refused(remote_store: Url, monkeypatch) -> None:
    store = open_store(remote_store)
    monkeypatch.setenv("CALOSTREAM_CACHE_SIZE", str(store.stored_bytes - store.image_bytes // 2))
    with pytest.raises(PlanError, match=r"needs about .* GB .*; raise --cache-size .* or take shuffle=.window"):
        open_stream(remote_store)


def test_a_store_larger_than_the_cache_stays_at_window(remote_store: Url, local_store: Path, monkeypatch) -> None:
    store = open_store(remote_store)
    monkeypatch.setenv("CALOSTREAM_CACHE_SIZE", str(store.stored_bytes - store.image_bytes // 2))
    stream = open_stream(remote_store, shuffle="auto", batch_size=350)  # its one window is larger than the cache, too
    assert_same(stream, open_stream(local_store, shuffle="window", batch_size=350))
    assert (stream.epoch, stream.plan.identity["shuffle"]) == (1, "window")


def test_it_does_so_if_the_cache_was_larger_before(remote_store: Url, monkeypatch) -> None:
    store = open_store(remote_store)
    list(open_stream(remote_store))
    monkeypatch.setenv("CALOSTREAM_CACHE_SIZE", str(store.stored_bytes - store.image_bytes // 2))
    assert open_stream(remote_store, shuffle="auto").plan.identity["shuffle"] == "window"


def test_a_pickled_stream_finds_its_store_again(own_store: Url) -> None:
    stream = open_stream(own_store, shuffle="auto")
    list(itertools.islice(stream, 3))
    other = pickle.loads(pickle.dumps(stream))
    assert repr(other) == repr(stream)
    assert_same(other, stream)
    assert other.plan.identity["shuffle"] == "full", "it still chooses"


@pytest.mark.parametrize("split", ["train", "test"])
def test_each_of_four_ranks_caches_the_shards_that_it_reads(
    remote_store: Url, tmp_path: Path, monkeypatch, split: str
) -> None:
    seen, total = [], 0
    for rank in range(4):
        cache = tmp_path / f"rank-{rank}"
        monkeypatch.setenv("CALOSTREAM_CACHE", str(cache))
        stream = open_stream(remote_store, split=split, shuffle="auto", rank=rank, world_size=4, batch_size=4)
        epochs = [list(stream) for _ in range(3)]
        assert needed(stream, itertools.chain(*epochs)) == cached(cache)
        assert stream.plan.identity["shuffle"] == "window"
        seen.append(np.sort(samples(epochs[0])))
        assert all(np.array_equal(np.sort(samples(epoch)), seen[-1]) for epoch in epochs)
        total += len(cached(cache))
    start, stop = open_store(remote_store).split_range(split)
    assert np.array_equal(np.sort(np.concatenate(seen)), np.arange(start, stop))
    assert total <= (stop - 1) // 64 - start // 64 + 1 + 2 * 3, "ranks share the shards at the borders of their parts"
    assert np.array_equal(epochs[0][0].image, tell_tale_images(500)[epochs[0][0].sample])


def test_a_cache_smaller_than_what_an_order_needs_at_a_time_is_said_once(own_store: Url, monkeypatch, capsys) -> None:
    store = open_store(own_store)
    monkeypatch.setenv("CALOSTREAM_CACHE_SIZE", str(store.stored_bytes - store.image_bytes // 2))
    streams = [open_stream(own_store, shuffle="window") for _ in range(2)]
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(r"needs 6 shards at a time, the cache holds \d, so .*; --cache-size (\d+MB) .* is enough$", line)
    assert_same(*streams)
    for options in ({"shuffle": "none"}, {"shuffle": "window", "split": "validation"}):
        list(open_stream(own_store, **options))
    monkeypatch.setenv("CALOSTREAM_CACHE_SIZE", line.partition("--cache-size ")[2].split()[0])
    list(open_stream(own_store, shuffle="window"))
    assert capsys.readouterr().err == ""
