"""What a person sees of a training run."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from store.console import console, say
from store.run_folder import EpochRecord
from store.stream import BatchStream
from train.metrics import compute_metrics

RECENT = 32  # batches that the live loss and AUC are over
REFRESH = 1.0  # seconds between two computations of them

Seen = Callable[[npt.NDArray[np.uint8], npt.NDArray[np.float64]], None]


@contextmanager
def watch(title: str, stream: BatchStream) -> Iterator[Seen]:
    """Show a bar over the batches of an epoch, with recent loss and AUC, speed and share of waiting.

    Yields
    ------
    Callable
        To be called with the labels and logits of every batch.
    """
    figures = TextColumn("{task.fields[figures]}")
    columns = (TextColumn("{task.spec}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), figures)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=len(stream), figures="")
        recent: deque[tuple[npt.NDArray[np.uint8], npt.NDArray[np.float64]]] = deque(maxlen=RECENT)
        began = shown = time.perf_counter()
        waited, samples = stream.waited, 0

        def seen(label: npt.NDArray[np.uint8], logit: npt.NDArray[np.float64]) -> None:
            nonlocal samples, shown
            samples += len(label)
            recent.append((label, logit))
            bar.advance(task)
            now = time.perf_counter()
            if now - shown > REFRESH and not bar.disable:
                shown = now
                metrics = compute_metrics(*(np.concatenate(column) for column in zip(*recent, strict=True)))
                bar.update(
                    task,
                    figures=f"loss {metrics.loss:.4f}  AUC {format_auc(metrics.auc)}"
                    f"  {samples / (now - began):,.0f} images/s"
                    f"  waiting {(stream.waited - waited) / (now - began):.1%}",
                )

        yield seen


def report(epoch: EpochRecord, epochs: int) -> None:
    """Print the line of a finished epoch."""
    say(
        f"epoch {epoch.epoch:>{len(str(epochs))}}/{epochs}"
        f"  loss {epoch.train_loss:.4f}, validation {epoch.validation_loss:.4f}"
        f"  AUC {format_auc(epoch.train_auc)}, validation {format_auc(epoch.validation_auc)}"
        f"  rate {epoch.learning_rate:.3g}  {epoch.samples_per_second:,.0f} images/s"
        f"  waiting {epoch.waiting_share:.1%}"
    )


def format_auc(auc: float | None) -> str:
    """Return an AUC with four digits; a dash if there is none."""
    return "-" if auc is None else f"{auc:.4f}"
