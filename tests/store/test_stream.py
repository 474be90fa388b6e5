"""The batches of a stream, and resuming from a state."""

import itertools
import json
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.errors import PlanError, StateError, StoreError
from store.opening import open_store
from store.plans.plan import BatchPlan
from store.plans.shuffles import SHUFFLES
from store.readers import sample_reader
from tests.examples import SHAPE, write_store
from tests.store.streams import assert_same, assert_true, open_stream, samples

SHARD = 64  # samples per shard of the store
RANGES = {"train": (0, 350), "validation": (350, 403), "test": (403, 500)}


@pytest.mark.parametrize("kind", ["blocks", "blocks, by pread", "zarr"])
@pytest.mark.parametrize("shuffle", SHUFFLES)
@pytest.mark.parametrize("split", RANGES)
def test_an_epoch_gives_every_sample_of_the_split_once_with_its_image_and_label(
    made_up, split, shuffle, kind, monkeypatch
):
    if kind == "zarr":
        monkeypatch.setattr(sample_reader, "has_sample_blocks", lambda image: False)
    if kind == "blocks, by pread":
        monkeypatch.setenv(sample_reader.READER_VARIABLE, "pread")
    stream = open_stream(made_up, split=split, shuffle=shuffle)
    assert stream.reader == kind
    batches = list(stream)
    for batch in batches:
        assert_true(batch)
    start, stop = RANGES[split]
    assert np.array_equal(np.sort(samples(batches)), np.arange(start, stop))
    assert len(stream) == len(batches) == -(-(stop - start) // 16)
    assert {batch.sample.size for batch in batches[:-1]} == {16}


@pytest.mark.parametrize("shuffle", SHUFFLES)
def test_both_readers_of_blocks_give_the_same_batches(made_up, shuffle, monkeypatch):
    mapped = list(open_stream(made_up, shuffle=shuffle, threads=4))
    monkeypatch.setenv(sample_reader.READER_VARIABLE, "pread")
    assert_same(mapped, open_stream(made_up, shuffle=shuffle, threads=4))


@pytest.mark.parametrize("shuffle", SHUFFLES)
def test_batches_come_in_the_order_of_the_plan_whatever_the_threads(made_up, shuffle):
    plan = BatchPlan(start=0, stop=350, batch_size=16, shuffle=shuffle, chunk=8, shard=SHARD, seed=5, epoch=3)
    for threads in (1, 4):
        stream = open_stream(made_up, shuffle=shuffle, seed=5, epoch=3, threads=threads)
        for i, batch in enumerate(stream):
            assert np.array_equal(batch.sample, plan[i])


def test_a_stream_tells_what_it_gives(made_up):
    stream = open_stream(made_up, split="validation", batch_size=10, epoch=2)
    assert (stream.sample_count, stream.image_shape, stream.epoch, len(stream)) == (53, SHAPE, 2, 6)
    assert stream.digest == open_store(made_up).digest
    assert stream.waited == 0
    next(iter(stream))
    assert stream.waited > 0


@pytest.mark.parametrize("shuffle", ["full", "window", "chunks"])
def test_the_next_epoch_has_the_same_samples_in_another_order(made_up, shuffle):
    stream = open_stream(made_up, shuffle=shuffle)
    first, second = list(stream), list(stream)
    assert stream.epoch == 2
    assert np.array_equal(np.sort(samples(first)), np.sort(samples(second)))
    assert not np.array_equal(samples(first), samples(second))
    assert_same(second, open_stream(made_up, shuffle=shuffle, epoch=1))


@pytest.mark.parametrize("shuffle", SHUFFLES)
def test_ranks_share_an_epoch(made_up, shuffle):
    streams = [open_stream(made_up, shuffle=shuffle, rank=rank, world_size=3) for rank in range(3)]
    batches = list(itertools.chain(*streams))
    for batch in batches:
        assert_true(batch)
    assert np.array_equal(np.sort(samples(batches)), np.arange(350))


def test_a_part_of_a_split_is_its_first_samples(made_up):
    part = list(open_stream(made_up, samples=100))
    for batch in part:
        assert_true(batch)
    assert sorted(samples(part)) == list(range(100))


def test_a_batch_larger_than_the_split_is_the_split(made_up):
    (batch,) = open_stream(made_up, batch_size=10_000)
    assert_true(batch)
    assert batch.sample.size == 350


resumes = st.fixed_dictionaries(
    {
        "shuffle": st.sampled_from(SHUFFLES),
        "batch_size": st.integers(1, 400),
        "seed": st.integers(0, 2**31),
        "epoch": st.integers(0, 50),
        "world_size": st.integers(1, 3),
    }
)


@given(resumes, st.data())
def test_a_state_taken_anywhere_gives_the_same_remaining_batches_and_next_epoch(made_up, options, data):
    options["rank"] = data.draw(st.integers(0, options["world_size"] - 1), label="rank")
    before = open_stream(made_up, **options, threads=2)
    given = data.draw(st.integers(0, len(before)), label="batches given")
    for _ in itertools.islice(before, given):
        pass
    state = json.loads(json.dumps(before.state_dict()))
    after = open_stream(made_up, **{**options, "epoch": 0}, threads=data.draw(st.integers(1, 4)), memory="8MiB")
    after.load_state_dict(state)
    assert after.state_dict() == before.state_dict()
    rest = list(after)
    whole = list(open_stream(made_up, **options))
    assert_same(rest, whole[given:])
    assert_same(before, rest)
    assert_same(after, open_stream(made_up, **{**options, "epoch": options["epoch"] + 1}))


def test_a_state_does_not_count_batches_that_were_only_read_ahead(made_up):
    stream = open_stream(made_up, threads=4)
    batches = iter(stream)
    assert stream.state_dict()["batch"] == 0
    for count in range(1, 4):
        next(batches)
        time.sleep(0.02)  # for the readers to read what they may
        assert stream.state_dict()["batch"] == count


def test_a_stream_that_was_left_continues_where_it_was(made_up):
    stream = open_stream(made_up)
    for k, _ in enumerate(stream):
        if k == 4:
            break
    assert_same(stream, list(open_stream(made_up))[5:])
    assert stream.epoch == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_size": 17}, "batch_size=16 and world_size=1, this stream 17 and 1; their product, .* must be 16"),
        ({"shuffle": "window"}, "shuffle='full', this stream 'window'"),
        ({"seed": 1}, "seed=0, this stream 1"),
        ({"split": "test"}, "split='train', this stream 'test'"),
        ({"samples": 300}, "samples=350, this stream 300"),
        ({"world_size": 2}, "batch_size=16 and world_size=1, this stream 16 and 2"),
        ({"rank": 1, "world_size": 2}, "batch_size=16 and world_size=1, this stream 16 and 2"),
    ],
    ids=["batch_size", "shuffle", "seed", "split", "samples", "world_size", "rank"],
)
def test_a_state_of_another_stream_is_refused_with_the_difference(made_up, change, message):
    stream = open_stream(made_up, **change)
    before = stream.state_dict()
    with pytest.raises(StateError, match=message):
        stream.load_state_dict({**open_stream(made_up).state_dict(), "epoch": 7, "batch": 3})
    assert stream.state_dict() == before


def test_a_state_of_another_store_is_refused(made_up, tmp_path):
    other = write_store(tmp_path / "other.zarr", split_sizes=(351, 52, 97))
    digests = [open_store(path).digest for path in (made_up, other)]
    with pytest.raises(StateError, match="store='{}', this stream '{}'".format(*digests)):
        open_stream(other).load_state_dict(open_stream(made_up).state_dict())


def test_a_state_of_another_plan_version_is_refused(made_up):
    stream = open_stream(made_up)
    with pytest.raises(StateError, match="plan_version=0, this stream 1; the order has changed between these versions"):
        stream.load_state_dict({**stream.state_dict(), "plan_version": 0})


@pytest.mark.parametrize("shuffle", ["full", "none"])
def test_a_state_from_before_the_second_version_of_other_orders_is_still_taken(made_up, shuffle):
    stream = open_stream(made_up, shuffle=shuffle, seed=9)
    stream.load_state_dict({
        "plan_version": 1, "store": stream.digest, "split": "train", "samples": 350, "batch_size": 16,
        "shuffle": shuffle, "chunk": 8, "window": 8192, "seed": 9, "rank": 0, "world_size": 1, "epoch": 4, "batch": 5,
    })  # fmt: skip
    whole = list(open_stream(made_up, shuffle=shuffle, seed=9, epoch=4))
    assert_same(stream, whole[5:])


@pytest.mark.parametrize("shuffle", ["window", "chunks"])
def test_a_state_of_the_first_version_of_a_local_order_is_refused(made_up, shuffle):
    stream = open_stream(made_up, shuffle=shuffle)
    with pytest.raises(StateError, match="plan_version=1, this stream 2"):
        stream.load_state_dict({**stream.state_dict(), "plan_version": 1})


@pytest.mark.parametrize("change", [{"epoch": None}, {"epoch": -1}, {"batch": None}, {"batch": -1}, {"batch": 23}])
def test_a_state_without_a_place_in_the_epoch_is_refused(made_up, change):
    stream = open_stream(made_up)
    state = {**stream.state_dict(), **change}
    before = stream.state_dict()
    for broken in (state, {name: value for name, value in state.items() if value is not None}):
        with pytest.raises(StateError, match=next(iter(change))):
            stream.load_state_dict(broken)
    assert stream.state_dict() == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "training"}, "unknown split 'training'; known: train, validation, test"),
        ({"batch_size": 0}, "batch_size=0 is below 1"),
        ({"threads": 0}, "threads=0 is below 1"),
        ({"shuffle": "some"}, "unknown shuffle 'some'"),
        ({"rank": 1}, r"rank=1 is not in \[0, 1\), the ranks of world_size=1"),
        ({"samples": 351}, "samples=351 is not between 1 and the 350 of split 'train'"),
        ({"samples": 0}, "samples=0 is not between 1"),
    ],
)
def test_an_option_out_of_bounds_is_refused(made_up, options, message):
    with pytest.raises(PlanError, match=message):
        open_stream(made_up, **options)


def test_a_second_iteration_is_refused_while_one_is_under_way_and_disturbs_nothing(made_up):
    stream = open_stream(made_up)
    first = iter(stream)
    seen = [next(first), next(first)]
    state = stream.state_dict()
    for start in (lambda: next(iter(stream)), lambda: list(stream)):
        with pytest.raises(PlanError, match="another iteration of this stream is under way: end or close it first"):
            start()
    with pytest.raises(StateError, match="an iteration of this stream is under way"):
        stream.load_state_dict(state)
    assert stream.state_dict() == state
    seen += first
    assert_same(seen, open_stream(made_up))
    assert stream.epoch == 1


def test_an_iteration_that_was_closed_dropped_or_failed_lets_another_start(made_up):
    failing = []

    def fail(batch, epoch):
        if failing:
            raise RuntimeError("made up")

    stream = open_stream(made_up, transform=fail)
    closed, never_started = iter(stream), iter(stream)
    seen = [next(closed)]
    closed.close()
    seen.append(next(iter(stream)))  # dropped at once
    failing.append(True)
    with pytest.raises(RuntimeError, match="made up"):
        next(iter(stream))
    failing.clear()
    seen += never_started
    assert_same(seen, open_stream(made_up))


def test_a_path_without_a_store_is_refused(tmp_path):
    with pytest.raises(StoreError, match=r"nothing\.zarr: no store here"):
        open_stream(tmp_path / "nothing.zarr")


def test_a_state_is_a_promise_too(made_up):
    stream = open_stream(made_up, seed=9, epoch=4, rank=1, world_size=2, samples=300)
    next(iter(stream))
    assert stream.state_dict() == {
        "plan_version": 1, "store": stream.digest, "split": "train", "samples": 300, "batch_size": 16,
        "shuffle": "full", "chunk": 8, "window": 8192, "seed": 9, "rank": 1, "world_size": 2, "epoch": 4, "batch": 1,
    }  # fmt: skip
