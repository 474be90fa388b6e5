"""What the terminal shows of a training run. With several ranks, only the first one prints."""

import math
import os
import shlex
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from rich.console import RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.text import Text

from store.arrays import Float64Array, UInt8Array
from store.console import console, say
from store.opening import Store
from store.stream import BatchStream
from train.config import AUTO, TrainConfig
from train.metrics import TrainingMetrics, compute_metrics
from train.setting_values import NONE

RECENT = 32  # number of batches that the live loss and AUC are computed from
REFRESH = 1.0  # seconds between two computations of them, more if one takes long, as with hundreds of classes
LARGEST_SHARE = 0.05  # of the time, for these computations

TEXT_WIDTH = 68  # of the other columns of a progress bar

ShowBatch = Callable[[UInt8Array, Float64Array, int], None]
TimeLeft = Callable[[float], float | None]
"""Returns the seconds until a training ends, if known, from the finished part of a pass."""


class Throughput:
    """Samples per second of a pass over a stream, and the fraction of the time spent waiting for its data.

    Parameters
    ----------
    stream
        The stream.
    skip_first
        Start the clock after the first batch: frameworks choose and compile their kernels in the first step.
    """

    def __init__(self, stream: BatchStream, *, skip_first: bool = False) -> None:
        self._stream, self._skip_first = stream, skip_first
        self._start()

    def _start(self) -> None:
        self._began, self._waited, self._samples = time.perf_counter(), self._stream.waited, 0

    def add(self, samples: int) -> None:
        """Count the samples of one more batch."""
        if self._skip_first:
            self._skip_first = False
            self._start()
        else:
            self._samples += samples

    def current(self) -> tuple[float, float]:
        """Return samples per second and the waiting share so far; zeros until the first samples are counted."""
        if not self._samples:
            return 0.0, 0.0
        seconds = time.perf_counter() - self._began
        return self._samples / seconds, (self._stream.waited - self._waited) / seconds


@contextmanager
def watch(title: str, stream: BatchStream, throughput: Throughput, left: TimeLeft | None = None) -> Iterator[ShowBatch]:
    """Show a progress bar over the batches of an epoch, with the loss and AUC of recent batches and the throughput.

    Parameters
    ----------
    title, stream, throughput
        Name of the pass, its stream, and what measures it.
    left
        Tells when the training ends.

    Yields
    ------
    Callable
        To be called with the labels and logits of one or several batches, and their number.
    """
    with progress_bar(title, len(stream), stream.state_dict()["batch"], left) as (bar, task):
        recent: deque[tuple[UInt8Array, Float64Array]] = deque(maxlen=RECENT)
        due = time.perf_counter() + REFRESH

        def show(label: UInt8Array, logit: Float64Array, batches: int) -> None:
            nonlocal due
            recent.append((label, logit))
            bar.advance(task, batches)
            now = time.perf_counter()
            if now > due and not bar.disable:
                metrics = compute_metrics(*(np.concatenate(column) for column in zip(*recent, strict=True)))
                quality = f"loss {metrics.loss:.4f}  AUC {format_auc(metrics.auc)}"
                bar.update(task, figures=f"{quality}  {format_throughput(*throughput.current())}")
                finished = time.perf_counter()
                due = max(now + REFRESH, finished + (finished - now) / LARGEST_SHARE)

        yield show


@contextmanager
def watch_images(title: str, images: int) -> Iterator[Callable[[int], None]]:
    """Show a progress bar over images.

    Yields
    ------
    Callable
        To be called with the number of images of each batch.
    """
    with progress_bar(title, images) as (bar, task):
        yield lambda count: bar.advance(task, count)


@contextmanager
def watch_count(title: str, total: int | None, count: Callable[[], int] = lambda: 0) -> Iterator[None]:
    """Show a progress bar over what `count` returns while a block runs; without a total, that it is running."""
    with progress_bar(title, total) as (bar, task):
        bar.count = lambda: bar.update(task, completed=count())
        yield


@contextmanager
def progress_bar(
    title: str, total: int | None, completed: int = 0, left: TimeLeft | None = None
) -> Iterator[tuple["_TwoLines", TaskID]]:
    """Show a progress bar with a text, ``figures``, below it; only in a terminal, and on the first rank."""
    width = max(4, min(40, console.width - TEXT_WIDTH))
    columns = (TextColumn("{task.description}"), BarColumn(width), MofNCompleteColumn(), _TimeColumn(left))
    hidden = not console.is_terminal or not is_first_rank()
    with _TwoLines(*columns, console=console, transient=True, disable=hidden) as bar:
        yield bar, bar.add_task(title, total=total, completed=completed, figures="")


class _TwoLines(Progress):
    """A progress bar above a line with the figures of its pass, so that both fit in 80 columns."""

    count: Callable[[], None] | None = None
    """Called before each refresh, if it is set."""

    def get_renderables(self) -> Iterator[RenderableType]:
        """Yield the bar, and its figures once there are any."""
        if self.count:
            self.count()
        yield self.make_tasks_table(self.tasks)
        yield from (Text(figures) for task in self.tasks if (figures := task.fields["figures"]))


class _TimeColumn(ProgressColumn):
    """The time left in a pass and, if known, in the whole training."""

    max_refresh = 0.5

    def __init__(self, left: TimeLeft | None) -> None:
        super().__init__()
        self._left = left

    def render(self, task: Task) -> Text:
        """Return the column of a task."""
        texts = [] if task.time_remaining is None else [format_duration(task.time_remaining)]
        training = self._left(task.completed / task.total) if self._left and task.total else None
        if training is not None:
            texts.append(f"training {format_duration(training)}")
        return Text(f"left: {', '.join(texts)}" if texts else "")


def is_first_rank() -> bool:
    """Return whether this process is the first or only rank, as ``torchrun`` numbers them."""
    return os.environ.get("RANK", "0") == "0"


def announce(line: str, style: str | None = None) -> None:
    """Print a line, on the first rank only."""
    if is_first_rank():
        say(line, style=style)


def announce_start(
    config: TrainConfig,
    store: Store,
    stream: BatchStream,
    *,
    framework: str,
    device: str,
    feed: str,
    ranks: int,
    parameters: int,
) -> None:
    """Print the model, the data and how they are read, before training starts."""
    simulated = f" ({store.attributes['simulated']})" if store.attributes["simulated"] else ""
    together = f", {ranks} ranks" if ranks > 1 else ""
    announce(f"{config.model}: {parameters:,} parameters, {framework} on {device}{together}")
    chosen = {"with": config.where, "balanced by": config.balance, "weighted by": config.weight}
    choice = "".join(f", {how} {value}" for how, value in chosen.items() if value != NONE)
    choice += f", taught by {', '.join(config.teach)} (share {config.teach_share:g})" if config.teach else ""
    announce(f"{store.path}{simulated}: {stream.sample_count:,} training images{choice}")
    shuffle = config.shuffle if config.shuffle != AUTO else f"auto (now {stream.plan.identity['shuffle']})"
    memory = f"at most {math.ceil(stream.memory / 1e6):,} MB of batches"
    announce(f"shuffle {shuffle}, images read as {stream.reader}, {memory}")
    announce(feed)
    announce(f"run directory {config.run}; `tensorboard --logdir {shlex.quote(str(config.run))}` shows its curves")
    if config.compile:
        announce("compiling the model in its first step, which can take a minute …")


def announce_split(split: str, metrics: TrainingMetrics) -> None:
    """Print the quality of the best model on a split."""
    announce(f"{split}: AUC {format_auc(metrics.auc)}, accuracy {metrics.accuracy:.4f}")


def format_throughput(samples_per_second: float | None, waiting_share: float | None) -> str:
    """Return samples per second and the waiting share as text; empty if they were not measured."""
    if samples_per_second is None or waiting_share is None:
        return ""
    return f"{samples_per_second:,.0f} images/s  waiting for data {waiting_share:.1%}"


def format_auc(auc: float | None) -> str:
    """Return an AUC with four digits, or a dash if there is none."""
    return "-" if auc is None else f"{auc:.4f}"


def format_duration(seconds: float) -> str:
    """Return a duration as ``minutes:seconds`` or ``hours:minutes:seconds``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
