"""Streams over a cut or a balanced draw of a split, and the further columns of their batches."""

import copy
import itertools
import json
import pickle  # noqa: TID251

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.errors import PlanError, StateError
from store.plans.balance import Balance
from store.plans.shuffles import SHUFFLES
from store.stream import BatchStream
from tests.examples import write_store
from tests.store.streams import LABELS, assert_same, assert_true, open_stream, samples

CUT = "source_row % 5 != 0 and (label == 1 or source_row < 200)"
ROWS = np.arange(350)  # of the training split; in this store the source row is the position
PASSED = np.flatnonzero((ROWS % 5 != 0) & ((LABELS[:350] == 1) | (ROWS < 200)))


@pytest.mark.parametrize("shuffle", SHUFFLES)
def test_a_cut_leaves_exactly_the_samples_that_pass_each_once(made_up, shuffle):
    stream = open_stream(made_up, shuffle=shuffle, where=CUT)
    assert (stream.sample_count, len(stream)) == (PASSED.size, -(-PASSED.size // 16))
    first, second = list(stream), list(stream)
    for batch in first:
        assert_true(batch)
    assert {batch.sample.size for batch in first[:-1]} == {16}
    assert np.array_equal(np.sort(samples(first)), PASSED)
    assert np.array_equal(np.sort(samples(second)), PASSED)
    assert np.array_equal(samples(first), samples(second)) == (shuffle == "none")


def test_a_cut_keeps_what_each_shuffle_means(made_up):
    order = {shuffle: samples(open_stream(made_up, shuffle=shuffle, where=CUT, seed=3)) for shuffle in SHUFFLES}
    place = {shuffle: np.searchsorted(PASSED, order[shuffle]) for shuffle in SHUFFLES}
    assert np.array_equal(order["none"], PASSED)
    runs = np.split(place["chunks"], np.flatnonzero(np.diff(place["chunks"]) != 1) + 1)
    assert {run[0] % 8 for run in runs} == {0}, "runs of the store's chunk size, 8 samples, move as a whole"
    assert not np.array_equal(place["chunks"], np.sort(place["chunks"]))
    assert np.count_nonzero(np.diff(place["full"]) == 1) < 10


@pytest.mark.parametrize("choice", [{"where": CUT}, {"balance": "class"}, {"where": CUT, "balance": "source_row"}])
@pytest.mark.parametrize("shuffle", SHUFFLES)
def test_ranks_share_what_is_left(made_up, shuffle, choice):
    ranks = [open_stream(made_up, shuffle=shuffle, rank=rank, world_size=3, **choice) for rank in range(3)]
    together = np.sort(samples(itertools.chain(*ranks)))
    assert np.array_equal(together, np.sort(samples(open_stream(made_up, shuffle=shuffle, **choice))))


def test_batches_chosen_one_by_one_take_one_draw_per_epoch(made_up, monkeypatch):
    stream, drawn = open_stream(made_up, balance="class"), []
    draw = Balance.draw
    monkeypatch.setattr(Balance, "draw", lambda self, *words: drawn.append(words[-1]) or draw(self, *words))
    whole = [samples(stream), samples(stream)]
    drawn.clear()
    for epoch in (0, 1):
        chosen = [next(stream.batches([index], epoch)).sample for index in range(len(stream))]
        assert np.array_equal(np.concatenate(chosen), whole[epoch])
    assert drawn == [0, 1]


def test_chosen_batches_follow_a_stream_that_is_divided_or_resumed(made_up):
    stream = open_stream(made_up, balance="class", batch_size=8)
    before = next(stream.batches([0], 1)).sample
    stream.divide(rank=1, world_size=2)
    assert not np.array_equal(next(stream.batches([0], 1)).sample, before)
    half = open_stream(made_up, balance="class", batch_size=8, rank=1, world_size=2)
    assert np.array_equal(next(stream.batches([0], 1)).sample, next(half.batches([0], 1)).sample)


def test_a_part_of_what_passes_is_its_beginning(made_up):
    stream = open_stream(made_up, where=CUT, samples=50)
    assert np.array_equal(np.sort(samples(stream)), PASSED[:50])
    with pytest.raises(PlanError, match=f"samples=300 is not between 1 and the {PASSED.size} .* that pass where="):
        open_stream(made_up, where=CUT, samples=300)


selections = st.fixed_dictionaries(
    {
        "shuffle": st.sampled_from(SHUFFLES),
        "batch_size": st.integers(1, 400),
        "seed": st.integers(0, 2**31),
        "epoch": st.integers(0, 50),
        "where": st.sampled_from([None, CUT]),
        "balance": st.sampled_from([None, "class", "source_row"]),
    }
)


@given(selections, st.data())
def test_any_batch_follows_from_its_number_and_a_state_resumes_exactly(made_up, options, data):
    whole = list(open_stream(made_up, **options))
    before = open_stream(made_up, **options)
    count = data.draw(st.integers(0, len(before)), label="batches given")
    for _ in itertools.islice(before, count):
        pass
    state = json.loads(json.dumps(before.state_dict()))
    after = open_stream(made_up, **{**options, "epoch": 0})
    after.load_state_dict(state)
    assert_same(after, whole[count:])
    number = data.draw(st.integers(0, len(whole) - 1), label="batch")
    assert_same(after.batches([number], options["epoch"]), [whole[number]])
    assert_same(after, open_stream(made_up, **{**options, "epoch": options["epoch"] + 1}))


@pytest.mark.parametrize("shuffle", SHUFFLES)
def test_balanced_classes_have_equal_shares_and_even_members(made_up, shuffle):
    stream = open_stream(made_up, shuffle=shuffle, where="label == 0 or source_row % 4 == 0", balance="class")
    selected = ROWS[(LABELS[:350] == 0) | (ROWS % 4 == 0)]
    assert stream.sample_count == selected.size, "the length of an epoch stays"
    sizes = np.bincount(LABELS[selected])
    total = np.zeros(350, np.int64)
    for epoch in range(5):
        drawn = samples(stream)
        assert drawn.size == selected.size
        assert np.abs(np.bincount(LABELS[drawn]) - selected.size / 2).max() < 1
        counts = np.bincount(drawn, minlength=350)
        total += counts
        assert not counts[np.setdiff1d(ROWS, selected)].any()
        for label, size in enumerate(sizes):
            members = selected[LABELS[selected] == label]
            for seen, draws in ((counts, counts[members].sum()), (total, total[members].sum())):
                assert set(seen[members]) <= {draws // size, -(-draws // size)}, (epoch, label)


def test_odd_epochs_share_the_odd_sample_among_the_classes(made_up):
    stream = open_stream(made_up, samples=349, balance="class")
    shares = np.array([np.bincount(LABELS[samples(stream)]) for _ in range(4)])
    assert shares.sum(axis=0).tolist() == [698, 698]
    assert np.ptp(shares, axis=1).tolist() == [1] * 4


def test_a_balanced_column_has_a_flat_spectrum(made_up):
    falling = "source_row < 40 or (source_row < 200 and source_row % 4 == 0) or source_row % 10 == 0"
    stream = open_stream(made_up, where=falling, balance="source_row")
    plain = samples(open_stream(made_up, where=falling))
    low, high = np.quantile(plain, (0.01, 0.99), method="nearest")
    drawn = np.concatenate([samples(stream) for _ in range(7)])
    before, after = (np.histogram(np.clip(values, low, high), 20, (low, high))[0] for values in (plain, drawn))
    assert before.max() > 10 * before.min() > 0
    assert np.abs(after - 7 * plain.size / 20).max() < 1


def test_tails_do_not_get_a_share_of_their_own(made_up):
    # 300 samples in rows 0 to 299, and one far away: equal bins up to it would draw it a hundred times.
    stream = open_stream(made_up, where="source_row < 300 or source_row == 349", balance="source_row")
    assert np.bincount(samples(stream)).max() <= 2


def test_draws_depend_on_the_seed_and_the_epoch_alone(made_up):
    options = {"balance": "class", "shuffle": "none", "samples": 301}
    first = samples(open_stream(made_up, **options))
    assert np.array_equal(first, samples(open_stream(made_up, **options, batch_size=7, threads=4)))
    assert not np.array_equal(first, samples(open_stream(made_up, **options, seed=1)))
    assert not np.array_equal(first, samples(open_stream(made_up, **options, epoch=1)))


# The first batch of a balanced stream of the made-up store, by kind of shuffle.
GOLDEN = {
    "full": [147, 116, 207, 114, 44, 301, 249, 163, 258, 117, 273, 31, 152, 71, 6, 299],
    "none": [1, 2, 3, 4, 6, 6, 7, 8, 9, 11, 12, 13, 14, 16, 17, 17],
}


@pytest.mark.parametrize("shuffle", GOLDEN)
def test_the_draws_are_the_promised_ones(made_up, shuffle):
    (batch,) = open_stream(made_up, balance="class", shuffle=shuffle, where=CUT, seed=5).batches([0], 2)
    assert batch.sample.tolist() == GOLDEN[shuffle]


def test_a_state_tells_the_cut_and_the_balance_and_refuses_others(made_up):
    stream = open_stream(made_up, where="( label==1 )  and source_row<200", balance="source_row")
    state = stream.state_dict()
    assert (state["where"], state["balance"]) == ("label == 1 and source_row < 200", "source_row")
    same = open_stream(made_up, where="label == 1 and (source_row < 200)", balance="source_row")
    same.load_state_dict(state)
    others = [
        ({}, "where='label == 1 and source_row < 200', this stream None"),
        ({"where": "label == 1", "balance": "source_row"}, "where=.*, this stream 'label == 1'"),
        ({"where": "label == 1 and source_row < 200"}, "balance='source_row', this stream None"),
    ]
    count = stream.sample_count
    for options, message in others:
        with pytest.raises(StateError, match=message):
            open_stream(made_up, samples=count, **options).load_state_dict(state)
    with pytest.raises(StateError, match="where=None, this stream 'label == 1'"):
        open_stream(made_up, samples=count, where="label == 1").load_state_dict(
            open_stream(made_up, samples=count).state_dict()
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"where": "source_row < 0"}, "where='source_row < 0' leaves no sample of split 'train'"),
        ({"where": "pt > 100"}, "where='pt > 100' asks for the column 'pt'; known: label, source_file, source_row"),
        ({"where": "label"}, "'label' is not a comparison"),
        ({"where": ""}, "is not an expression such as"),
        ({"where": 5}, "a cut is text such as 'pt > 100 and m0 < 30', not 5"),
        ({"balance": "pt"}, "balance='pt' asks for the column 'pt'; known: label"),
        ({"balance": "class", "where": "label == 1"}, "balance='class': all .* samples have the same class"),
        ({"balance": "source_row", "where": "source_row == 7"}, "all 1 samples have the same source_row"),
        ({"balance": 3}, "balance=3 is neither 'class' nor the name of a column"),
        ({"columns": ("label", "mass")}, "columns asks for the column 'mass'; known: label"),
        ({"columns": "image"}, "columns asks for the column 'image'; known: label"),
        ({"columns": (3,)}, "columns asks for the column 3; known: label"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_choice_that_cannot_be_made_is_refused(made_up, options, message):
    with pytest.raises(PlanError, match=message):
        open_stream(made_up, **options)


def test_three_classes_have_equal_shares(three_classes):
    stream = BatchStream(three_classes, split="train", batch_size=9, balance="class", columns="event")
    label = np.concatenate([batch.label for batch in stream])
    assert np.bincount(label).tolist() == [14, 14, 14]


def test_whole_numbers_that_float64_cannot_tell_apart_are_balanced(made_up, monkeypatch):
    column = np.repeat([2**62, 2**62 + 1], [300, 50])
    monkeypatch.setattr("store.plans.balance.read_columns", lambda *_: {"source_row": column})
    drawn = samples(open_stream(made_up, balance="source_row"))
    assert np.bincount(column[drawn] - 2**62).tolist() == [175, 175]


def test_values_that_are_not_finite_cannot_be_balanced(made_up, monkeypatch):
    column = np.where(ROWS == 17, np.nan, ROWS)
    monkeypatch.setattr("store.plans.balance.read_columns", lambda *_: {"source_row": column})
    with pytest.raises(PlanError, match="balance='source_row': source_row of sample 17 is nan"):
        open_stream(made_up, balance="source_row")


def test_most_samples_may_have_one_value(made_up, monkeypatch):
    column = np.where(ROWS == 17, 1.0, 0.0)  # its first and last percentiles are equal
    monkeypatch.setattr("store.plans.balance.read_columns", lambda *_: {"source_row": column})
    drawn = samples(open_stream(made_up, balance="source_row"))
    assert np.count_nonzero(drawn == 17) == 175


def test_batches_have_the_columns_in_the_types_of_the_store(made_up):
    stream = open_stream(made_up, where=CUT, columns=("source_row", "split", "label"))
    for batch in stream:
        assert list(batch.columns) == ["source_row", "split", "label"]
        assert [values.dtype for values in batch.columns.values()] == [np.int64, np.uint8, np.uint8]
        assert np.array_equal(batch.columns["source_row"], batch.sample)
        assert np.array_equal(batch.columns["label"], LABELS[batch.sample])
    (batch,) = BatchStream(made_up, plan=[[403, 7]], columns="source_row")
    assert batch.columns["source_row"].tolist() == [403, 7]
    assert next(iter(open_stream(made_up))).columns == {}


COPIES = {"pickle": lambda stream: pickle.loads(pickle.dumps(stream)), "copy": copy.copy, "deepcopy": copy.deepcopy}


@pytest.mark.parametrize("duplicate", COPIES.values(), ids=COPIES)
@pytest.mark.parametrize("options", [{}, {"where": CUT, "balance": "class"}, {"plan": [[1, 2], [3], [499]]}])
def test_a_copy_is_at_the_same_position_and_moves_independently(made_up, duplicate, options):
    defaults = {} if "plan" in options else {"split": "train", "batch_size": 16}
    stream = BatchStream(made_up, **defaults, **options, columns=("split",), memory="9MiB", threads=3)
    whole = list(BatchStream(made_up, **defaults, **options))
    batches = iter(stream)
    next(batches)
    other = duplicate(stream)  # also while an iteration is under way
    assert (other.state_dict(), other.memory, repr(other)) == (stream.state_dict(), stream.memory, repr(stream))
    rest = list(other)
    assert_same(rest, whole[1:])
    assert list(rest[0].columns) == ["split"]
    assert_same(batches, whole[1:])
    assert_same(stream, other)


def test_a_copy_of_a_stream_whose_store_was_replaced_is_refused(tmp_path):
    path = write_store(tmp_path / "store.zarr")
    pickled = pickle.dumps(open_stream(path))
    path.rename(tmp_path / "old.zarr")
    write_store(path, split_sizes=(351, 52, 97))
    with pytest.raises(StateError, match=r"store\.zarr: was replaced since the stream was pickled or copied"):
        pickle.loads(pickled)


def test_streams_and_batches_are_described_in_one_short_line(made_up):
    stream = open_stream(made_up, where="label == 1", columns=("split",), seed=4)
    batch = next(iter(stream))
    assert repr(batch) == "Batch(16 samples, image float32 (16, 6, 7, 2), columns split)"
    assert repr(stream) == (
        f"BatchStream('{made_up}', split='train', samples={stream.sample_count}, where='label == 1', batch_size=16, "
        f"shuffle='full', seed=4: epoch 0, batch 1 of {len(stream)})"
    )
    assert "rank=1, world_size=2" in repr(open_stream(made_up, rank=1, world_size=2))
    assert repr(BatchStream(made_up, plan=[[1], [2]])).endswith(", plan=RepeatedPlan: epoch 0, batch 0 of 2)")
