"""What is measured and shown during a pass; the test sets the clock."""

import time
from types import SimpleNamespace
from typing import Any

import pytest

from store.epoch_record import EpochRecord
from train import progress
from train.progress import Throughput, announce_epoch


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


def test_only_the_first_rank_prints(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    monkeypatch.setattr(progress, "say", lines.append)
    record = EpochRecord(
        epoch=3,
        train_loss=0.5,
        train_accuracy=0.75,
        train_auc=0.8,
        validation_loss=0.6,
        validation_accuracy=0.7,
        validation_auc=None,
        learning_rate=0.001,
        seconds=2.0,
    )
    monkeypatch.setenv("RANK", "1")
    announce_epoch(record, 12)
    assert not lines
    monkeypatch.setenv("RANK", "0")
    announce_epoch(record, 12)
    (line,) = lines
    assert line.split() == (
        [
            "epoch",
            "3/12",
            "loss",
            "0.5000,",
            "validation",
            "0.6000",
            "AUC",
            "0.8000,",
            "validation",
            "-",
            "learning",
            "rate",
            "0.001",
        ]
    )
