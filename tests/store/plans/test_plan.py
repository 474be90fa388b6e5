import dataclasses
import itertools
import os
import pickle  # noqa: TID251

import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.errors import PlanError
from store.plans.plan import PLAN_VERSIONS, BatchPlan
from store.plans.shuffles import SHUFFLES
from tests.strategies import plan_arguments

# The first batch of (start=100, stop=1100, batch_size=8, chunk=16, shard=64, window=96) by shuffle, seed and epoch.
GOLDEN = {
    ("full", 0, 0): [991, 1093, 656, 135, 590, 267, 721, 429],
    ("full", 0, 1): [408, 1032, 1072, 269, 899, 949, 540, 203],
    ("full", 12345, 0): [203, 1010, 286, 1094, 1042, 941, 359, 217],
    ("window", 0, 0): [309, 334, 305, 293, 328, 365, 311, 327],
    ("window", 0, 1): [1037, 866, 1035, 1066, 1032, 854, 1050, 1073],
    ("window", 12345, 0): [419, 180, 108, 429, 136, 415, 427, 408],
    ("chunks", 0, 0): [304, 305, 306, 307, 308, 309, 310, 311],
    ("chunks", 0, 1): [1040, 1041, 1042, 1043, 1044, 1045, 1046, 1047],
    ("chunks", 12345, 0): [160, 161, 162, 163, 164, 165, 166, 167],
    ("none", 0, 0): [100, 101, 102, 103, 104, 105, 106, 107],
    ("none", 0, 1): [100, 101, 102, 103, 104, 105, 106, 107],
    ("none", 12345, 0): [100, 101, 102, 103, 104, 105, 106, 107],
}

LOCAL = ("window", "chunks")


def ranks(arguments):
    return [BatchPlan(**arguments, rank=rank) for rank in range(arguments["world_size"])]


def order(plan):
    """Return the whole epoch of one rank."""
    return np.concatenate([plan[i] for i in range(len(plan))])


@pytest.mark.parametrize(("shuffle", "seed", "epoch"), GOLDEN)
def test_the_order_is_the_promised_one(shuffle, seed, epoch):
    order = {"shuffle": shuffle, "seed": seed, "epoch": epoch}
    plan = BatchPlan(start=100, stop=1100, batch_size=8, chunk=16, shard=64, window=96, **order)
    assert plan[0].tolist() == GOLDEN[shuffle, seed, epoch], "another order needs another version in PLAN_VERSIONS"
    assert plan[0].dtype == np.int64


def test_the_golden_orders_are_those_of_these_versions():
    assert PLAN_VERSIONS == {"full": 1, "window": 2, "chunks": 2, "none": 1}


@given(plan_arguments())
def test_every_sample_appears_once_per_epoch_over_all_ranks(arguments):
    seen = np.concatenate([order(plan) for plan in ranks(arguments)])
    assert np.array_equal(np.sort(seen), np.arange(arguments["start"], arguments["stop"]))


@given(plan_arguments())
def test_all_ranks_have_the_same_number_of_batches(arguments):
    assert len({len(plan) for plan in ranks(arguments)}) == 1


@given(plan_arguments())
def test_all_batches_are_full_but_the_last_whose_samples_are_shared_evenly(arguments):
    sizes = np.array([[plan[i].size for i in range(len(plan))] for plan in ranks(arguments)])  # (rank, batch)
    assert np.all(sizes[:, :-1] == arguments["batch_size"])
    assert sizes[:, -1].max() <= arguments["batch_size"]
    assert np.ptp(sizes[:, -1]) <= 1


@given(plan_arguments(world_size=1))
def test_the_order_does_not_depend_on_the_batch_size(arguments):
    other = BatchPlan(**{**arguments, "batch_size": arguments["stop"] - arguments["start"]})
    assert np.array_equal(order(BatchPlan(**arguments)), other[0])


@given(plan_arguments(world_size=2).filter(lambda a: a["shuffle"] in ("full", "none")))
def test_two_ranks_see_in_a_step_what_one_rank_sees_with_twice_the_batch(arguments):
    one = BatchPlan(**{**arguments, "world_size": 1, "batch_size": 2 * arguments["batch_size"]})
    first, second = ranks(arguments)
    assert len(one) == len(first)
    for i in range(len(one)):
        assert np.array_equal(np.concatenate([first[i], second[i]]), one[i])


@given(plan_arguments(shuffle="chunks", world_size=1))
def test_chunks_mode_gives_each_chunk_in_one_run_and_in_stored_order(arguments):
    samples = order(BatchPlan(**arguments))
    runs = np.split(samples, np.flatnonzero(np.diff(samples // arguments["chunk"])) + 1)
    assert len({run[0] // arguments["chunk"] for run in runs}) == len(runs)
    for run in runs:
        assert np.array_equal(run, np.arange(run[0], run[0] + run.size))


@given(plan_arguments(world_size=1).filter(lambda a: a["shuffle"] in LOCAL))
def test_a_few_shards_are_used_at_a_time_and_each_once(arguments):
    samples = order(BatchPlan(**arguments))
    shards = samples // arguments["shard"]
    for shard in np.unique(shards):
        (places,) = np.nonzero(shards == shard)
        # a group has less than twice as many shards as a window needs, and perhaps the two short ends of the range
        assert np.ptp(places) < 4 * arguments["window"] + arguments["shard"]


@given(plan_arguments(shuffle="window", world_size=1))
def test_a_window_mixes_the_samples_of_its_own_chunks_only(arguments):
    chunk = arguments["chunk"]
    stored = order(BatchPlan(**{**arguments, "shuffle": "chunks"}))  # the same chunks in the same order
    mixed = order(BatchPlan(**arguments))
    ends = np.append(np.flatnonzero(np.diff(stored // chunk)) + 1, stored.size)
    together = [0, *(int(end) for end in ends if set(stored[:end].tolist()) == set(mixed[:end].tolist()))]
    assert together[-1] == stored.size, "windows end where chunks end"
    for first, last in itertools.pairwise(together):
        cells = np.unique(stored[first:last] // chunk).size
        windowed = -(-arguments["window"] // chunk)
        assert cells < 2 * windowed + 3, "no window has chunks enough for two"


def test_a_window_leaves_no_order_inside_it():
    plan = BatchPlan(start=0, stop=8192, batch_size=8192, shuffle="window", chunk=64, shard=8192, window=4096)
    first = plan[0][:4096]
    assert np.unique(first // 64).size == 64
    assert np.count_nonzero(np.diff(first) == 1) < 10  # one is what chance gives
    assert np.unique(first[:64] // 64).size > 25, "the first 64 of a window come from many of its 64 chunks"


@given(plan_arguments().filter(lambda a: a["shuffle"] in LOCAL))
def test_ranks_share_at_most_the_shard_at_their_border(arguments):
    shard = arguments["shard"]
    touched = sum(np.unique(order(plan) // shard).size for plan in ranks(arguments))
    total = (arguments["stop"] - 1) // shard - arguments["start"] // shard + 1
    # where a short end of the range is joined to the shard at a border, two shards are shared
    assert touched <= total + arguments["world_size"] - 1 + 2 * min(2, arguments["world_size"] - 1)


@given(plan_arguments().filter(lambda a: a["shuffle"] in LOCAL))
def test_a_rank_keeps_its_samples_in_every_epoch(arguments):
    for plan in ranks(arguments):
        assert np.array_equal(np.sort(order(plan)), np.sort(order(plan.at_epoch(arguments["epoch"] + 1))))


def test_short_ends_of_a_range_are_mixed_with_the_shard_beside_them():
    plan = BatchPlan(start=4_090, stop=3 * 4_096 + 6, batch_size=1_024, shuffle="window", shard=4_096, window=4_096)
    ends = np.r_[4_090:4_096, 3 * 4_096 : 3 * 4_096 + 6]
    where = np.flatnonzero(np.isin(order(plan), ends))
    assert np.diff(where).max() > 50, "they are not next to each other"


def test_a_plan_is_pickled_without_what_it_has_computed():
    plan = BatchPlan(start=0, stop=100_000, batch_size=512, shuffle="window", shard=65_536)
    first = plan[0]
    pickled = pickle.dumps(plan)
    assert len(pickled) < 1_000
    assert np.array_equal(pickle.loads(pickled)[0], first)


@pytest.mark.parametrize("shuffle", ["full", "window", "chunks"])
@pytest.mark.parametrize("change", [{"seed": 1}, {"epoch": 1}], ids=["seed", "epoch"])
def test_another_seed_or_epoch_gives_another_order(shuffle, change):
    plan = BatchPlan(start=0, stop=5_000, batch_size=5_000, shuffle=shuffle, chunk=16, shard=256, window=512)
    other = dataclasses.replace(plan, **change)
    # two random permutations agree at about one position, each a sample or a chunk of 16
    assert np.count_nonzero(plan[0] == other[0]) < 8 * 16


@given(st.integers(1, 1000), st.integers(0, 10**6))
def test_none_is_the_stored_order(size, start):
    assert np.array_equal(
        order(BatchPlan(start=start, stop=start + size, batch_size=37, shuffle="none")),
        np.arange(start, start + size),
    )


@pytest.mark.parametrize("shuffle", SHUFFLES)
def test_ten_billion_samples_cost_no_memory(shuffle):
    def ask(stop):
        plan = BatchPlan(start=10, stop=stop, batch_size=512, shuffle=shuffle, shard=65_536, rank=1, world_size=3)
        return len(plan), [plan[0], plan[len(plan) // 2], plan[len(plan) - 1]]

    ask(200_000)  # compiled code and caches are there from now on
    before = psutil.Process(os.getpid()).memory_info().rss
    length, batches = ask(10**10)
    assert psutil.Process(os.getpid()).memory_info().rss - before < 8 << 20
    assert length == -(-(10**10 - 10) // (3 * 512))
    samples = np.concatenate(batches)
    assert 10 <= samples.min() <= samples.max() < 10**10
    assert np.unique(samples).size == samples.size


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_size": 0}, "batch_size=0 is below 1"),
        ({"chunk": 0}, "chunk=0 is below 1"),
        ({"shard": 0}, "shard=0 is below 1"),
        ({"shard": 100}, "shard=100 is not a multiple of chunk=64"),
        ({"window": -3}, "window=-3 is below 1"),
        ({"seed": -1}, "seed=-1 is below 0"),
        ({"epoch": -1}, "epoch=-1 is below 0"),
        ({"start": -1}, "start=-1 is below 0"),
        ({"stop": 5}, "no samples between start=5 and stop=5"),
        ({"rank": 2, "world_size": 2}, r"rank=2 is not in \[0, 2\), the ranks of world_size=2"),
        ({"rank": -1}, r"rank=-1 is not in \[0, 1\)"),
        ({"world_size": 0}, "world_size=0 is below 1"),
        ({"shuffle": "ful"}, "unknown shuffle 'ful'; known: full, window, chunks, none"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_a_value_out_of_bounds_is_refused_with_its_bound(change, message):
    with pytest.raises(PlanError, match=message) as caught:
        BatchPlan(**{"start": 5, "stop": 50, "batch_size": 4, **change})
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("index", [-1, 12, 10**12])
def test_a_batch_that_is_not_there_is_refused(index):
    plan = BatchPlan(start=5, stop=50, batch_size=4)
    with pytest.raises(PlanError, match=rf"batch {index} is not in \[0, 12\), the batches of the epoch"):
        plan[index]
