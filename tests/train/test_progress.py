"""What is measured and shown during a pass; the test sets the clock."""

import io
import re
import time
from types import SimpleNamespace
from typing import Any

import pytest

from store.console import Screen
from train.progress import Throughput, format_duration, progress_bar


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(time, "perf_counter", lambda: clock.now)
    return clock


def run_steps(clock: SimpleNamespace, stream: Any, throughput: Throughput, seconds: list[float]) -> None:
    for step in seconds:
        clock.now += step
        stream.waited += 0.5
        throughput.add(10)


def test_throughput_counts_all_steps(clock: SimpleNamespace) -> None:
    stream: Any = SimpleNamespace(waited=7.0)
    throughput = Throughput(stream)
    assert throughput.current() == (0, 0)
    run_steps(clock, stream, throughput, [2, 1, 1])
    assert throughput.current() == (30 / 4, 1.5 / 4)


def test_a_first_step_that_compiles_is_left_out(clock: SimpleNamespace) -> None:
    stream: Any = SimpleNamespace(waited=7.0)
    throughput = Throughput(stream, skip_first=True)
    run_steps(clock, stream, throughput, [60])
    assert throughput.current() == (0, 0)
    run_steps(clock, stream, throughput, [1, 1])
    assert throughput.current() == (20 / 2, 1 / 2)


def test_durations_are_read_as_on_a_clock() -> None:
    assert [format_duration(seconds) for seconds in (0, 59.6, 3599, 3600, 90_061)] == [
        *("0:00", "1:00", "59:59", "1:00:00", "25:01:01")
    ]


@pytest.mark.parametrize("width", [80, 200])
def test_a_bar_and_its_figures_fit_on_a_terminal(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    out = io.StringIO()
    screen = Screen(file=out, force_terminal=True, width=width, color_system=None)
    monkeypatch.setattr("train.progress.console", screen)
    figures = "loss 0.5432  AUC 0.8012  1,234,567 images/s  waiting for data 12.5%"
    with progress_bar("validation after epoch 12", 3125, 1000, lambda part: 36_000 * part) as (bar, task):
        bar.update(task, figures=figures)
        bar.refresh()
    lines = re.split(r"[\r\n]+", re.sub(r"\x1b\[[?\d;]*[A-Za-z]", "", out.getvalue()))
    assert max(map(len, lines)) <= width
    assert any(re.match("validation after epoch 12 .*1000/3125 left: training 3:12:00$", line) for line in lines)
    assert figures in lines
