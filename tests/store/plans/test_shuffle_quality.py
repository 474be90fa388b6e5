import numpy as np
import pytest

from store.plans.plan import BatchPlan
from store.plans.shuffle_quality import batch_numbers, shuffle_quality

LABEL = np.random.default_rng(0).integers(0, 2, 4_096, np.uint8)


def quality(shuffle, label=LABEL, **options):
    return shuffle_quality(
        BatchPlan(**{"start": 100, "stop": 4_196, "batch_size": 64, "shuffle": shuffle, "window": 512, **options}),
        label,
    )


def test_a_full_shuffle_is_a_random_permutation():
    measured = quality("full")
    assert abs(measured.companions - 1) < 0.05
    assert abs(measured.balance - 1) < 0.6  # 64 batches: a deviation of 0.18


def test_the_stored_order_keeps_every_batch_together():
    # two samples of a batch meet again with probability 63 / 4,095 in a random order, and always in stored order
    assert quality("none").companions == pytest.approx(4_095 / 63)


def test_weaker_shuffles_lie_between():
    full, window, chunks, none = (quality(mode).companions for mode in ("full", "window", "chunks", "none"))
    assert full < window < chunks <= none


@pytest.mark.parametrize("classes", [2, 3, 20])
def test_classes_in_stored_order_show_in_the_balance(classes):
    ordered = np.sort(np.random.default_rng(0).integers(0, classes, 4_096, np.uint8))
    assert quality("none", ordered).balance > 50
    assert quality("full", ordered).balance == pytest.approx(1, abs=0.6)


def test_both_numbers_are_those_of_a_count_by_hand():
    plan = BatchPlan(start=3, stop=23, batch_size=6, shuffle="full")
    label = np.arange(20, dtype=np.uint8) % 2
    batches = [set((plan[i] - 3).tolist()) for i in range(4)]
    following = BatchPlan(start=3, stop=23, batch_size=6, shuffle="full", epoch=1)
    others = [set((following[i] - 3).tolist()) for i in range(4)]
    pairs = {(a, b) for batch in batches for a in batch for b in batch if a < b}
    again = {(a, b) for batch in others for a in batch for b in batch if a < b}
    expected = len(pairs & again) / len(pairs) / (len(again) / 190)
    balance = np.mean(
        [
            (sum(label[list(batch)]) - len(batch) / 2) ** 2 / (len(batch) / 4 * (20 - len(batch)) / 19)
            for batch in batches
        ]
    )
    measured = shuffle_quality(plan, label)
    assert measured.companions == pytest.approx(expected)
    assert measured.balance == pytest.approx(balance)


def test_every_sample_has_the_number_of_its_batch():
    plan = BatchPlan(start=3, stop=23, batch_size=6)
    numbers = batch_numbers(plan)
    for i in range(len(plan)):
        assert np.all(numbers[plan[i] - 3] == i)
    assert np.bincount(numbers).tolist() == [6, 6, 6, 2]


def test_of_a_single_batch_nothing_can_be_said():
    with pytest.raises(ValueError, match="needs two batches, but 4096 samples with batch_size=5000 form one"):
        quality("full", batch_size=5_000)
