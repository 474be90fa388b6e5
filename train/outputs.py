"""The outputs of a model in one pass over a split."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from store.arrays import Float32Array, Float64Array, Int64Array, UInt8Array
from store.errors import RunError
from store.predictions import Predictions
from store.stream import BatchStream
from train.backend import Backend
from train.metrics import TrainingMetrics, compute_metrics, probability
from train.progress import ShowBatch, Throughput, watch

LAG = 4  # batches whose logits a GPU may still be computing when the next batch is submitted


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

    def metrics(self, weights: Float32Array | None) -> TrainingMetrics:
        """Return loss, accuracy and AUC; `weights` is what `train.weighting.read_weights` returned."""
        return compute_metrics(self.label, self.logit, None if weights is None else weights[self.sample])

    def predictions(self, weights: Float32Array | None) -> Predictions:
        """Return the logits as probabilities; `weights` is what `train.weighting.stored_weights` returned."""
        return Predictions(
            sample=self.sample,
            label=self.label,
            score=probability(self.logit),
            weight=None if weights is None else weights[self.sample].astype(np.float64),
        )


class Collector:
    """Collects the outputs of a pass batch by batch; it lags a few batches behind, so that a GPU never waits for it.

    Parameters
    ----------
    backend
        Backend that computes the outputs.
    title
        Name of the pass, for messages.
    show
        Called with the labels and logits of each batch.
    earlier
        Outputs of the batches before the pass was interrupted.
    batches
        Number of these batches.

    Raises
    ------
    RunError
        If a logit is not finite, which makes the loss NaN or infinite; the message names the pass and the batch.
    """

    def __init__(
        self, backend: Backend, title: str, show: ShowBatch, earlier: Outputs | None = None, batches: int = 0
    ) -> None:
        self._backend, self._title, self._show = backend, title, show
        self._parts = [] if earlier is None else [earlier]
        self._pending: deque[tuple[Int64Array, UInt8Array, Any]] = deque()
        self.batches = batches

    def add(self, sample: Int64Array, label: UInt8Array, logit: Any) -> None:
        """Add the logits of another batch, which a GPU may not have computed yet."""
        self._pending.append((sample, label, logit))
        if len(self._pending) > LAG:
            self._collect()

    def _collect(self) -> None:
        sample, label, on_device = self._pending.popleft()
        self.batches += 1
        logit = self._backend.to_numpy(on_device).astype(np.float64)
        if not np.isfinite(logit).all():
            raise RunError(f"the loss is NaN or infinite: {self._title}, batch {self.batches}; lower --learning-rate")
        self._parts.append(Outputs(sample=sample, label=label, logit=logit))
        self._show(label, logit)

    def outputs(self) -> Outputs:
        """Return the outputs of all batches of this rank so far, once they have been computed."""
        while self._pending:
            self._collect()
        self._parts = [Outputs.join(self._parts)]
        return self._parts[0]


def predict(backend: Backend, stream: BatchStream, title: str) -> Outputs:
    """Return the outputs for one epoch of the streams of all ranks. Collective: every rank must call this.

    Raises
    ------
    RunError
        If a logit is not finite.
    """
    throughput = Throughput(stream)
    with watch(title, stream, throughput) as show:
        collector = Collector(backend, title, show)
        for steps in backend.feed(stream):
            collector.add(steps.sample, steps.label, backend.predict(steps.inputs))
            throughput.add(len(steps.sample))
        return collector.outputs().of_all_ranks(backend)
