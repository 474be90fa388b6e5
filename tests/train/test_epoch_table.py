"""The finished epochs of a run, on terminals of several widths and in a file."""

import io
import time
from dataclasses import replace

import pytest

from store.console import Screen
from store.epoch_record import EpochRecord
from train.epoch_table import EpochTable

FIRST = EpochRecord(
    epoch=1,
    train_loss=0.5,
    train_accuracy=0.75,
    train_auc=0.8,
    validation_loss=0.6,
    validation_accuracy=0.7,
    validation_auc=None,
    learning_rate=0.000123,
    seconds=90.0,
    samples_per_second=1234.5,
    waiting_share=0.125,
    shuffle="window",
)
SECOND, THIRD = replace(FIRST, epoch=2, validation_loss=0.7), replace(FIRST, epoch=3, validation_loss=0.55)
RECORDS = (FIRST, SECOND, THIRD)


def shown(monkeypatch: pytest.MonkeyPatch, table: EpochTable, width: int = 0, height: int = 40) -> list[str]:
    """Return the lines that the table shows: on a terminal with this width, or in a file."""
    out = io.StringIO()
    screen = Screen(file=out, force_terminal=bool(width), width=width or None, height=height, color_system=None)
    monkeypatch.setattr("store.console.console", screen)
    monkeypatch.setattr("train.epoch_table.console", screen)
    for record in RECORDS:
        table.add(record)
    return out.getvalue().splitlines()


def test_rows_fit_in_80_columns_and_mark_each_lowest_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = shown(monkeypatch, EpochTable(24), 80)
    assert len(lines) == 2 + len(RECORDS)
    assert max(map(len, lines)) <= 80
    numbers = ["0.5000", "0.8000", "0.6000", "-", "0.000123", "1,234", "12.5%", "1:30"]
    assert [line.split() for line in lines[2:]] == [
        ["*", "1/24", *numbers],
        ["2/24", *numbers[:2], "0.7000", *numbers[3:]],
        ["*", "3/24", *numbers[:2], "0.5500", *numbers[3:]],
    ]
    headings = lines[1]
    for line in lines[2:]:
        assert line.index("0.5000") + 6 == headings.index("loss") + 4


@pytest.mark.parametrize("width", [30, 60, 200])
def test_columns_that_do_not_fit_are_left_out(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    lines = shown(monkeypatch, EpochTable(100, show_shuffle=True), width)
    assert max(map(len, lines)) <= width
    assert all("0.6000" in line or "0.7000" in line or "0.5500" in line for line in lines[2:])
    assert ("window" in lines[-1]) == (width == 200)


def test_headings_are_repeated_on_the_next_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    table = EpochTable(24)
    lines = [line for _ in range(4) for line in shown(monkeypatch, table, 80, height=10)]
    assert [number for number, line in enumerate(lines) if line.startswith("* best")] == [0, 12]


def test_a_file_gets_one_line_per_epoch_with_names(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = shown(monkeypatch, EpochTable(24))
    assert lines == [
        f"epoch  {record.epoch}/24  loss 0.5000, validation {record.validation_loss:.4f}  AUC 0.8000, validation -  "
        f"learning rate 0.000123  1,234 images/s  waiting for data 12.5%  {left} left{best}"
        for record, left, best in zip(
            RECORDS, ("34:30", "33:00", "31:30"), ("  best so far", "", "  best so far"), strict=True
        )
    ]


def test_only_the_first_rank_shows_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    assert shown(monkeypatch, EpochTable(24), 80) == []


def test_a_resumed_run_knows_its_best_epoch_and_its_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    table = EpochTable(24, [replace(FIRST, validation_loss=0.1)])
    assert table.seconds_left(0.0) == 23 * 90
    assert not any(line.startswith("*   ") for line in shown(monkeypatch, table, 80))
    clock[0] += 30
    assert table.seconds_left() == 20 * 90 - 30


def test_the_first_epoch_tells_the_pace_by_its_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    table = EpochTable(10)
    clock[0] += 30
    assert table.seconds_left(0.0) is None
    assert table.seconds_left(0.5) == 30 + 9 * 60
