"""Streams over a plan that the user gives."""

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest

from store.errors import PlanError, StateError
from store.opening import open_store
from store.plans.given_plan import EpochPlan, RepeatedPlan
from store.plans.plan import BatchPlan
from store.plans.split_plan import plan_split
from store.stream import BatchStream
from tests.store.streams import assert_same, assert_true, open_stream, samples

BATCHES = [np.array([499, 0, 7, 7]), np.array([], np.int64), np.array([350, 3]), np.array([403])]


class Backwards:
    """The samples of a range from the last to the first, ten per batch, as a plan that computes its batches."""

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return np.arange(39 - 10 * index, 29 - 10 * index, -1)


@pytest.mark.parametrize("plan", [BATCHES, tuple(BATCHES), Backwards()], ids=["list", "tuple", "object"])
def test_a_given_plan_is_followed_exactly_in_every_epoch(made_up, plan):
    stream = BatchStream(made_up, plan=plan, threads=3)
    for epoch in range(2):
        assert (stream.epoch, len(stream)) == (epoch, len(plan))
        batches = list(stream)
        for batch, expected in zip(batches, (plan[i] for i in range(len(plan))), strict=True):
            assert_true(batch)
            assert np.array_equal(batch.sample, expected)
    assert stream.sample_count == sum(plan[i].size for i in range(len(plan)))


@pytest.mark.parametrize("batch", [[3, 4], np.array([3, 4], np.int32), np.array([3, 4], np.uint64)])
def test_any_row_of_integers_is_a_batch(made_up, batch):
    (read,) = BatchStream(made_up, plan=[batch])
    assert_true(read)
    assert read.sample.tolist() == [3, 4]


def test_the_memory_is_that_of_the_largest_batch(made_up):
    with pytest.raises(PlanError, match="less than two batches of 1344 bytes"):  # four images of 336 bytes
        BatchStream(made_up, plan=BATCHES, memory=2 * 1344 - 1)
    assert BatchStream(made_up, plan=BATCHES, memory=2 * 1344).memory == 2 * 1344


@pytest.mark.parametrize("given", range(5))
def test_a_state_of_a_plain_plan_resumes_exactly(made_up, given):
    before = BatchStream(made_up, plan=BATCHES, threads=3)
    list(before)
    for _ in itertools.islice(before, given):
        pass
    state = json.loads(json.dumps(before.state_dict()))
    after = BatchStream(made_up, plan=[batch.copy() for batch in BATCHES])
    after.load_state_dict(state)
    assert after.state_dict() == state
    assert_same(after, list(BatchStream(made_up, plan=BATCHES))[given:])


@pytest.mark.parametrize(
    "other",
    [
        BATCHES[:3],
        [*BATCHES[:3], np.array([404])],
        [BATCHES[0][:2], BATCHES[0][2:], *BATCHES[2:]],
        [BATCHES[0], *BATCHES[2:]],
    ],
    ids=["fewer batches", "another sample", "cut elsewhere", "without the empty batch"],
)
def test_a_state_of_another_plan_is_refused(made_up, other):
    state = BatchStream(made_up, plan=other).state_dict()
    with pytest.raises(StateError, match="the state has plan_sha256="):
        BatchStream(made_up, plan=BATCHES).load_state_dict(state)
    for stream in (open_stream(made_up), BatchStream(made_up, plan=BatchPlan(start=0, stop=9, batch_size=2))):
        with pytest.raises(StateError, match=r"the state has \w+=None, this stream"):
            stream.load_state_dict(state)


def test_the_plan_of_a_split_gives_what_the_options_give_with_the_same_state(made_up):
    options = {"split": "validation", "batch_size": 7, "shuffle": "window", "seed": 4, "samples": 40}
    given = BatchStream(made_up, plan=plan_split(open_store(made_up), **options))
    made = BatchStream(made_up, **options)
    assert given.state_dict() == made.state_dict()
    assert_same(given, made)
    assert given.state_dict() == made.state_dict()
    assert_same(given, made)  # the next epoch, in another order


def test_a_plan_of_any_range_has_its_range_in_the_state(made_up):
    plan = BatchPlan(start=340, stop=420, batch_size=9, seed=1)
    stream = BatchStream(made_up, plan=plan)
    batches = list(stream)
    for batch in batches:
        assert_true(batch)
    assert sorted(samples(batches)) == list(range(340, 420))
    state = stream.state_dict()
    assert (state["start"], state["stop"], state["epoch"]) == (340, 420, 1)
    with pytest.raises(StateError, match="the state has start=340, this stream 341"):
        BatchStream(made_up, plan=replace(plan, start=341, stop=421)).load_state_dict(state)


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ([], "the plan has no samples"),
        ([np.array([], np.int64)], "the plan has no samples"),
        ([np.array([0, 500])], "the plan has positions 0 to 500, the store 0 to 499"),
        ([np.array([3, -1])], "the plan has positions -1 to 3, the store 0 to 499"),
        (BatchPlan(start=400, stop=501, batch_size=8), "the plan has positions 400 to 500, the store 0 to 499"),
        (
            [np.array([1]), np.array([0.5])],
            r"batch 1 of the plan must be integers of shape \(batch,\), got float64",
        ),
        ([np.array([[1, 2]])], r"batch 0 of the plan must be integers of shape \(batch,\), got int64 \(1, 2\)"),
    ],
)
def test_a_plan_that_cannot_be_read_is_refused(made_up, plan, message):
    with pytest.raises(PlanError, match=message):
        BatchStream(made_up, plan=plan)


def test_a_plan_and_options_that_make_one_are_not_taken_together(made_up):
    with pytest.raises(PlanError, match="leave out split, seed"):
        BatchStream(made_up, plan=BATCHES, split="train", seed=3)


def test_a_plan_that_knows_its_epochs_is_told_from_one_that_does_not():
    plan = BatchPlan(start=0, stop=9, batch_size=2)
    assert isinstance(plan, EpochPlan)
    assert isinstance(RepeatedPlan.of(BATCHES), EpochPlan)
    assert not isinstance(BATCHES, EpochPlan)
    assert plan.at_epoch(3) == replace(plan, epoch=3)
