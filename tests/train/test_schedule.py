"""Schedules against sequences computed by hand; tests/parity compares them with Keras' own callback."""

import pytest

from train.schedule import (
    SCHEDULES,
    Constant,
    Cosine,
    CosineRestarts,
    EarlyStopping,
    Plateau,
    StoppingState,
    warm_up_factor,
)


def rates(schedule: Plateau | Constant, losses: list[float], rate: float = 1.0) -> list[float]:
    state = schedule.start(rate)
    out = []
    for loss in losses:
        state = schedule.after(state, loss)
        out.append(state.rate)
    return out


def test_constant_stays() -> None:
    assert rates(Constant(), [3, 3, 3, 3, 3]) == [1] * 5


def test_plateau_halves_after_patience_and_waits_out_the_cooldown() -> None:
    assert rates(Plateau(), [1, 1, 1, 1, 1, 1, 1]) == [1, 1, 0.5, 0.5, 0.25, 0.25, 0.125]


def test_plateau_wants_a_real_improvement() -> None:
    assert rates(Plateau(min_delta=0.1), [1, 0.95, 0.91]) == [1, 1, 0.5]
    assert rates(Plateau(min_delta=0.1), [1, 0.95, 0.89, 0.88]) == [1, 1, 1, 1]


def test_plateau_stops_at_the_minimum() -> None:
    assert rates(Plateau(minimum=0.4, cooldown=0), [1] * 6) == [1, 1, 0.5, 0.5, 0.4, 0.4]


def test_cosine_falls_from_the_whole_rate_to_nothing() -> None:
    assert [Cosine().factor(time, 8) for time in (0, 4, 8)] == pytest.approx([1, 0.5, 0])
    assert Cosine().factor(2, 8) == pytest.approx((1 + 0.5**0.5) / 2)


def test_restarts_come_after_1_3_and_7_epochs() -> None:
    shares = [CosineRestarts().factor(time, 15) for time in (0, 0.5, 1, 2, 3, 5, 7, 11, 14.999)]
    assert shares == pytest.approx([1, 0.5, 1, 0.5, 1, 0.5, 1, 0.5, 0], abs=1e-6)


@pytest.mark.parametrize("name", SCHEDULES)
def test_no_schedule_leaves_the_range(name: str) -> None:
    assert all(0 <= SCHEDULES[name].factor(time / 7, 5) <= 1 for time in range(35))


def test_warm_up_grows_from_nothing_and_may_be_left_out() -> None:
    assert [warm_up_factor(time, 2) for time in (0, 0.5, 1, 2, 3)] == [0, 0.25, 0.5, 1, 1]
    assert warm_up_factor(0, 0) == 1


def test_stops_after_patience_without_any_fall() -> None:
    stopping, state = EarlyStopping(patience=2), StoppingState()
    stops = []
    for epoch, loss in enumerate([1, 0.9, 0.9, 0.8999, 1, 1], start=1):
        state = stopping.after(state, epoch, loss)
        stops.append(stopping.stops(state))
    assert stops == [False] * 5 + [True]
    assert (state.best, state.best_epoch) == (0.8999, 4)
