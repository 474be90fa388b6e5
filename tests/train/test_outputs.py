from collections.abc import Iterator

from train.outputs import delayed


def test_delayed_keeps_the_order_and_runs_ahead() -> None:
    taken = 0

    def count() -> Iterator[int]:
        nonlocal taken
        for taken in range(1, 8):
            yield taken

    ahead = [(item, taken) for item in delayed(count(), 3)]
    assert [item for item, _ in ahead] == [1, 2, 3, 4, 5, 6, 7]
    assert [at for _, at in ahead] == [4, 5, 6, 7, 7, 7, 7]


def test_delayed_gives_all_of_a_short_pass() -> None:
    assert list(delayed([1, 2], 3)) == [1, 2]
