"""The outputs of a model in one pass over a split."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from store.arrays import Float32Array, Float64Array, Int64Array, UInt8Array
from store.errors import RunError
from store.predictions import Predictions
from store.stream import BatchStream
from train.backend import Backend, Steps
from train.metrics import TrainingMetrics, compute_metrics, probability
from train.progress import ShowBatch, Throughput, TimeLeft, watch

COPY_EVERY = 0.1  # seconds between two copies of logits from the device


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """Logits of some samples.

    Attributes
    ----------
    sample
        int64 (n,), positions in the store.
    label
        uint8 (n,), true classes.
    logit
        float64 (n,), logits of class 1, or float64 (n, K), logits of each of K > 2 classes.
    """

    sample: Int64Array
    label: UInt8Array
    logit: Float64Array

    @classmethod
    def join(cls, parts: Sequence["Outputs"]) -> "Outputs":
        """Return the concatenation of several outputs."""
        return cls(
            **{name: np.concatenate([getattr(part, name) for part in parts]) for name in cls.__dataclass_fields__}
        )

    def of_all_ranks(self, backend: Backend) -> "Outputs":
        """Return the outputs of all ranks. Collective: every rank must call this."""
        return Outputs(**{name: backend.all_gather(column) for name, column in vars(self).items()})

    def metrics(self, weights: Float32Array | None, targets: Float32Array | None = None) -> TrainingMetrics:
        """Return loss, accuracy and AUC.

        Parameters
        ----------
        weights
            What `train.weighting.read_weights` returned.
        targets
            What `train.teacher_scores.TeacherScores.targets` returned, for a loss with these targets.
        """
        columns = (None if column is None else column[self.sample] for column in (weights, targets))
        return compute_metrics(self.label, self.logit, *columns)

    def predictions(self, weights: Float32Array | None) -> Predictions:
        """Return the logits as probabilities; `weights` is what `train.weighting.stored_weights` returned."""
        return Predictions(
            sample=self.sample,
            label=self.label,
            score=probability(self.logit),
            weight=None if weights is None else weights[self.sample].astype(np.float64),
        )


class Collector:
    """Collects the outputs of a pass.

    Logits stay on the device and are copied together once in a while. The next copy has begun before the collector
    waits for one, so that it never waits for the newest work of a GPU.

    Parameters
    ----------
    backend
        Backend that computes the outputs.
    title
        Name of the pass, for messages.
    show
        Called with the labels and logits of each call of the backend, and the number of its batches.
    earlier
        Outputs of the batches before the pass was interrupted.
    batches
        Number of these batches.
    seconds
        Time between two copies.

    Raises
    ------
    RunError
        If a logit is not finite, which makes the loss NaN or infinite; the message names the pass and the batch. It is
        noticed late, but before `outputs` returns.
    """

    def __init__(
        self,
        backend: Backend,
        title: str,
        show: ShowBatch,
        earlier: Outputs | None = None,
        batches: int = 0,
        seconds: float = COPY_EVERY,
    ) -> None:
        self._backend, self._title, self._show, self._seconds = backend, title, show, seconds
        self._parts = [] if earlier is None else [earlier]
        self._on_device: list[tuple[_Call, Any]] = []
        self._copies: deque[tuple[list[_Call], Callable[[], Float32Array]]] = deque()
        self._copied = time.monotonic()
        self.batches = batches

    def add(self, steps: Steps, logit: Any) -> None:
        """Add the logits of more batches, which a GPU may not have computed yet."""
        # Not the steps themselves, which hold images.
        self._on_device.append((_Call(sample=steps.sample, label=steps.label, batches=steps.count), logit))
        if time.monotonic() - self._copied >= self._seconds:
            self._begin_copy()
            if len(self._copies) > 1:
                self._take()

    def _begin_copy(self) -> None:
        calls, logits = zip(*self._on_device, strict=True)
        self._copies.append((list(calls), self._backend.copy_to_host(logits)))
        self._on_device, self._copied = [], time.monotonic()

    def _take(self) -> None:
        """Wait for the oldest copy, and check what it holds."""
        calls, wait = self._copies.popleft()
        logits = wait().astype(np.float64)
        bounds = np.cumsum([len(call.sample) for call in calls])
        for call, logit in zip(calls, np.split(logits, bounds[:-1]), strict=True):
            first, self.batches = self.batches + 1, self.batches + call.batches
            if not np.isfinite(logit).all():
                which = f"batch {first}" if call.batches == 1 else f"batches {first} to {self.batches}"
                raise RunError(f"the loss is NaN or infinite: {self._title}, {which}; lower --learning-rate")
            self._parts.append(Outputs(sample=call.sample, label=call.label, logit=logit))
            self._show(call.label, logit, call.batches)

    def outputs(self) -> Outputs:
        """Return the outputs of all batches of this rank so far, once they have been computed."""
        if self._on_device:
            self._begin_copy()
        while self._copies:
            self._take()
        self._parts = [Outputs.join(self._parts)]
        return self._parts[0]


@dataclass(frozen=True, kw_only=True)
class _Call:
    """What is known of a call of the backend before its logits."""

    sample: Int64Array
    label: UInt8Array
    batches: int


def predict(backend: Backend, stream: BatchStream, title: str, left: TimeLeft | None = None) -> Outputs:
    """Return the outputs for one epoch of the streams of all ranks. Collective: every rank must call this.

    Raises
    ------
    RunError
        If a logit is not finite.
    """
    throughput = Throughput(stream)
    with watch(title, stream, throughput, left) as show:
        collector = Collector(backend, title, show)
        for steps in backend.feed(stream):
            collector.add(steps, backend.predict(steps.inputs))
            throughput.add(len(steps.sample))
        return collector.outputs().of_all_ranks(backend)
