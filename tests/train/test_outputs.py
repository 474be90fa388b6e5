import operator

from train.outputs import delayed


def test_delayed_keeps_the_order_and_runs_ahead() -> None:
    items = iter(range(7))
    left = [(item, operator.length_hint(items)) for item in delayed(items, 3)]
    assert left == [(0, 3), (1, 2), (2, 1), (3, 0), (4, 0), (5, 0), (6, 0)]


def test_delayed_gives_all_of_a_short_pass() -> None:
    assert list(delayed([1, 2], 3)) == [1, 2]
