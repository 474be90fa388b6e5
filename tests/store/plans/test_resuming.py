"""Continuing with another number of ranks: a state is a position in the order of the batches over all ranks."""

import itertools
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.errors import PlanError, StateError
from store.plans.plan import BatchPlan
from store.plans.shuffles import SHUFFLES
from tests.store.streams import assert_true, open_stream, samples
from tests.strategies import plan_arguments

GLOBAL = 24
CHOICES = [{}, {"where": "source_row % 3 > 0"}, {"balance": "class"}]


def open_ranks(path, world_size, **options):
    return [
        open_stream(path, batch_size=GLOBAL // world_size, rank=rank, world_size=world_size, **options)
        for rank in range(world_size)
    ]


def steps(ranks):
    """Return the samples of each batch over all ranks, sorted, until the end of the epoch."""
    return [np.sort(samples(batches)).tolist() for batches in zip(*ranks, strict=True)]


@settings(max_examples=20)
@given(
    st.sampled_from(SHUFFLES),
    st.sampled_from(CHOICES),
    st.lists(st.sampled_from([1, 2, 3, 4, 6]), min_size=2, max_size=4),
    st.data(),
)
def test_any_number_of_ranks_continues_with_the_same_batches_over_all_ranks(made_up, shuffle, choice, worlds, data):
    options = {"shuffle": shuffle, "seed": 5, **choice}
    first = open_ranks(made_up, worlds[0], **options)
    expected = [*steps(first), *steps(first)]
    state, found = open_ranks(made_up, worlds[0], **options)[0].state_dict(), []
    for world_size in worlds:
        ranks = open_ranks(made_up, world_size, **options)
        for rank in ranks:
            rank.load_state_dict(state)
        left = len(ranks[0]) - state["batch"]
        count = data.draw(st.integers(0, left), label="steps")
        found += steps([itertools.islice(rank, count) for rank in ranks])
        states = [rank.state_dict() for rank in ranks]
        assert len({json.dumps({**each, "rank": 0}) for each in states}) == 1, "a state of any rank serves all"
        state = json.loads(json.dumps(states[-1]))
    found += [*steps(ranks), *steps(ranks)]
    assert found[: len(expected)] == expected


@pytest.mark.parametrize("shuffle", SHUFFLES)
def test_the_rows_are_those_of_the_samples_after_a_change_of_ranks(made_up, shuffle):
    state = open_ranks(made_up, 3, shuffle=shuffle)[0].state_dict()
    for rank in open_ranks(made_up, 2, shuffle=shuffle):
        rank.load_state_dict(state)
        for batch in rank:
            assert_true(batch)


@pytest.mark.parametrize("shuffle", SHUFFLES)
def test_another_batch_over_all_ranks_is_refused(made_up, shuffle):
    state = open_ranks(made_up, 2, shuffle=shuffle)[1].state_dict()
    message = "batch_size=12 and world_size=2, this stream 12 and 3; their product, .* must be 24"
    with pytest.raises(StateError, match=message):
        open_stream(made_up, batch_size=12, world_size=3, shuffle=shuffle).load_state_dict(state)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_size": "12"}, "batch_size='12', this stream 24"),
        ({"world_size": 0}, "world_size=0, this stream 1"),
        ({"world_size": None}, "world_size=None, this stream 1"),
        ({"batch_size": 24.0}, r"batch_size=24\.0, this stream 24"),
        ({"parts": 5}, "parts=5, which does not divide the 24 samples"),
        ({"parts": "2"}, "parts='2', which does not divide"),
        ({"order": "another"}, "order='another', this stream None"),
    ],
)
def test_a_state_that_was_changed_is_refused(made_up, change, message):
    (stream,) = open_ranks(made_up, 1, shuffle="window")
    before = stream.state_dict()
    with pytest.raises(StateError, match=message):
        stream.load_state_dict({**before, **change})
    assert stream.state_dict() == before


@pytest.mark.parametrize("state", [None, 3, "state", [1]])
def test_what_is_no_state_is_refused(made_up, state):
    with pytest.raises(StateError, match="a state is what state_dict returned, not"):
        open_stream(made_up).load_state_dict(state)


@given(plan_arguments(), st.integers(1, 5), st.integers(1, 5))
def test_the_parts_determine_the_batches_over_all_ranks_whatever_the_ranks(arguments, parts, world_size):
    share = arguments.pop("batch_size")
    order = {**arguments, "batch_size": parts * share, "world_size": world_size, "parts": parts}
    ranks = [BatchPlan(**order, rank=rank) for rank in range(world_size)]
    divided = {**arguments, "batch_size": world_size * share, "world_size": parts}
    originals = [BatchPlan(**divided, rank=part) for part in range(parts)]
    assert {len(plan) for plan in ranks} == {len(plan) for plan in originals}
    for i in range(len(ranks[0])):
        batches = [plan[i] for plan in ranks]
        assert np.ptp([batch.size for batch in batches]) <= 1
        whole = np.concatenate([plan[i] for plan in originals])
        assert np.array_equal(np.sort(np.concatenate(batches)), np.sort(whole))


@pytest.mark.parametrize("parts", [0, 5])
def test_parts_that_do_not_divide_a_batch_are_refused(parts):
    with pytest.raises(PlanError, match=f"parts={parts} does not divide the 8 samples of a batch over all ranks"):
        BatchPlan(start=0, stop=50, batch_size=4, world_size=2, parts=parts)


def test_a_stream_is_divided_before_its_first_batch(made_up):
    stream = open_stream(made_up)
    stream.divide(1, 2)
    assert np.array_equal(samples(stream), samples(open_stream(made_up, rank=1, world_size=2)))
    batches = iter(stream)
    next(batches)
    with pytest.raises(PlanError, match="an iteration of this stream is under way"):
        stream.divide(0, 2)
    batches.close()
    with pytest.raises(PlanError, match="the stream is at batch 1 of its epoch: divide it before its first batch"):
        stream.divide(0, 2)
