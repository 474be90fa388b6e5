import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ingest.groups import divide_groups

FRACTIONS = (0.7, 0.1, 0.2)
GOLDEN = [1, 1, 0, 0, 0, 0, 2, 2]


def count(assigned, label, classes):
    """Return the number of samples by split and class."""
    return np.array([np.bincount(label[assigned == split], minlength=classes) for split in range(3)])


def deviations(assigned, label, classes):
    return np.abs(count(assigned, label, classes) - np.outer(FRACTIONS, np.bincount(label, minlength=classes)))


def make(sizes, classes, seed):
    """Return groups of the given sizes, with numbers above 2**53, and classes of their samples; each class is there."""
    random = np.random.default_rng(seed)
    group = 2**53 + np.repeat(random.permutation(len(sizes)), sizes)
    label = random.integers(0, classes, group.size).astype(np.uint8)
    label[:classes] = range(classes)
    return group, label


@given(st.lists(st.integers(1, 30), min_size=3, max_size=300), st.integers(2, 5), st.integers(0, 2**31))
def test_a_group_is_in_one_split_whatever_the_order_of_its_samples(sizes, classes, seed):
    group, label = make([*sizes, classes], classes, seed)
    assigned = divide_groups(group, label, FRACTIONS, seed, classes)
    pairs = np.unique(np.stack([group, assigned]), axis=1)
    assert pairs.shape[1] == len(sizes) + 1
    order = np.random.default_rng(seed).permutation(group.size)
    assert np.array_equal(divide_groups(group[order], label[order], FRACTIONS, seed, classes), assigned[order])


@given(st.lists(st.integers(1, 4), min_size=100, max_size=300), st.integers(2, 5), st.integers(0, 2**31))
def test_each_class_is_divided_as_asked_as_far_as_groups_allow(sizes, classes, seed):
    group, label = make(sizes, classes, seed)
    assigned = divide_groups(group, label, FRACTIONS, seed, classes)
    assert deviations(assigned, label, classes).max() <= 2 * max(sizes)


def test_groups_of_one_sample_are_divided_to_one_sample():
    group, label = make(np.ones(1001, int), 3, 0)
    assert deviations(divide_groups(group, label, FRACTIONS, 0, 3), label, 3).max() <= 1


def test_large_groups_are_balanced_by_small_ones():
    sizes = [500, 400, 300, *[1] * 3_000]
    group, label = make(sizes, 2, 0)
    assert deviations(divide_groups(group, label, FRACTIONS, 0, 2), label, 2).max() <= 2


def test_another_seed_gives_other_splits_also_to_large_groups():
    group, label = make(np.arange(80, 120), 2, 0)
    assigned = np.stack([divide_groups(group, label, FRACTIONS, seed, 2) for seed in range(200)])
    assert all(set(column) == {0, 1, 2} for column in assigned.T)


def test_the_splits_are_the_promised_ones():
    group = np.array([7, 7, -3, 5, 5, 5, 8, 9])
    label = np.array([0, 1, 0, 1, 1, 0, 0, 1], np.uint8)
    assert divide_groups(group, label, (0.4, 0.3, 0.3), 0, 2).tolist() == GOLDEN


def test_it_is_said_if_groups_are_too_large(capfd):
    group, label = make([800, *[1] * 200], 2, 0)
    divide_groups(group, label, FRACTIONS, 0, 2)
    assert "groups are too few or too large to divide the samples as asked; got train 80.0%" in capfd.readouterr().err
    divide_groups(np.arange(1000), label, FRACTIONS, 0, 2)
    assert capfd.readouterr().err == ""
