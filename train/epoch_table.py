"""The finished epochs of a run on the terminal, and how long the others will take."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from store.console import console
from store.epoch_record import EpochRecord
from train.progress import announce, format_auc, format_duration, format_throughput

RECENT = 5  # epochs whose median duration is expected of the others
LEAST_PART = 0.02  # of the first epoch, before a duration is expected


class EpochTable:
    """Shows each epoch when it has finished: a row of a table on a terminal, otherwise a line of its own.

    Rows stay on the terminal, and the headings are repeated once they have left it. An asterisk, or ``best so far``,
    marks the epochs whose validation loss was lower than any before.

    Parameters
    ----------
    epochs
        Number of epochs of the whole run.
    earlier
        Epochs before the run was resumed.
    show_shuffle
        Whether to show the order of each epoch, which may differ from epoch to epoch.
    """

    def __init__(self, epochs: int, earlier: Sequence[EpochRecord] = (), *, show_shuffle: bool = False) -> None:
        self._epochs, self._show_shuffle = epochs, show_shuffle
        self._best = min((record.validation_loss for record in earlier), default=float("inf"))
        self._seconds = [record.seconds for record in earlier if record.seconds is not None]
        self._done, self._rows, self._began = len(earlier), 0, time.perf_counter()

    def begin_epoch(self) -> None:
        """Note the time."""
        self._began = time.perf_counter()

    def seconds_left(self, part: float = 1.0) -> float | None:
        """Return the seconds until the last epoch ends; None if this cannot be said yet.

        Parameters
        ----------
        part
            Fraction of the training batches of this epoch that have been trained on.
        """
        elapsed = time.perf_counter() - self._began
        if self._seconds:
            epoch = median(self._seconds[-RECENT:])
        elif part > LEAST_PART:
            epoch = elapsed / part
        else:
            return None
        return max(epoch - elapsed, 0.0) + epoch * (self._epochs - self._done - 1)

    def add(self, record: EpochRecord) -> None:
        """Show a finished epoch."""
        improved = record.validation_loss < self._best
        self._best = min(self._best, record.validation_loss)
        if record.seconds is not None:
            self._seconds.append(record.seconds)
        self._done += 1
        if console.is_terminal:
            self._show_row(record, improved=improved)
        else:
            left = (self._epochs - self._done) * median(self._seconds[-RECENT:]) if self._seconds else None
            announce(self._line(record, improved=improved, left=left))

    def _show_row(self, record: EpochRecord, *, improved: bool) -> None:
        columns = list(self._columns())
        if self._rows % max(10, console.height - 6) == 0:
            top = "  ".join(f"{column.top:>{column.width}}" for column in columns)
            bottom = "  ".join(f"{column.bottom:>{column.width}}" for column in columns)
            announce(f"* best{top[4:]}")
            announce(f"  {bottom}")
        self._rows += 1
        text = "  ".join(f"{column.text(record):>{column.width}}" for column in columns)
        announce(("* " if improved else "  ") + text, style="bold green" if improved else None)

    def _columns(self) -> Iterator["_Column"]:
        """Yield the columns that the terminal has room for, from left to right."""
        digits = len(str(self._epochs))
        columns = [
            _Column(0, "", "epoch", max(5, 2 * digits + 1), lambda r: f"{r.epoch:>{digits}}/{self._epochs}"),
            _Column(2, "train", "loss", 6, lambda r: f"{r.train_loss:.4f}"),
            _Column(4, "", "AUC", 6, lambda r: format_auc(r.train_auc)),
            _Column(1, "valid.", "loss", 6, lambda r: f"{r.validation_loss:.4f}"),
            _Column(3, "", "AUC", 6, lambda r: format_auc(r.validation_auc)),
            _Column(7, "learning", "rate", 8, lambda r: f"{r.learning_rate:.3g}"),
            _Column(6, "images", "per s", 7, lambda r: _or_dash(r.samples_per_second, "{:,.0f}")),
            _Column(8, "waiting", "for data", 8, lambda r: _or_dash(r.waiting_share, "{:.1%}")),
            _Column(5, "", "time", 7, lambda r: "-" if r.seconds is None else format_duration(r.seconds)),
        ]
        if self._show_shuffle:
            columns.append(_Column(9, "", "shuffle", 7, lambda r: r.shuffle or "-"))
        room = console.width - 2
        chosen: set[int] = set()
        for column in sorted(columns, key=lambda column: column.rank):
            room -= column.width + 2 * bool(chosen)
            if room < 0:
                break
            chosen.add(column.rank)
        yield from (column for column in columns if column.rank in chosen)

    def _line(self, record: EpochRecord, *, improved: bool, left: float | None) -> str:
        """Return a line that can be searched for, with the name of each number."""
        parts = [
            f"epoch {record.epoch:>{len(str(self._epochs))}}/{self._epochs}",
            f"loss {record.train_loss:.4f}, validation {record.validation_loss:.4f}",
            f"AUC {format_auc(record.train_auc)}, validation {format_auc(record.validation_auc)}",
            f"learning rate {record.learning_rate:.3g}",
            f"shuffle {record.shuffle}" if self._show_shuffle else "",
            format_throughput(record.samples_per_second, record.waiting_share),
            f"{format_duration(left)} left" if left else "",
            "best so far" if improved else "",
        ]
        return "  ".join(part for part in parts if part)


@dataclass(frozen=True)
class _Column:
    """A column of the table: rank (the lowest are shown first where room is short), headings, width, and its text."""

    rank: int
    top: str
    bottom: str
    width: int
    text: Callable[[EpochRecord], str]


def _or_dash(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)
