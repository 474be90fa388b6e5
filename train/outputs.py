"""A pass over one split: what the model said about every sample."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from store.errors import RunError
from store.predictions import Predictions
from store.stream import BatchStream
from train.backend import Backend
from train.metrics import Metrics, compute_metrics, sigmoid
from train.progress import Seen, watch

LAG = 4  # batches that a GPU may still be working on while the next ones are sent


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """Logits of some samples.

    Attributes
    ----------
    sample
        int64 (n,), positions in the store.
    label
        uint8 (n,), classes.
    logit
        float64 (n,), what the model gave.
    """

    sample: npt.NDArray[np.int64]
    label: npt.NDArray[np.uint8]
    logit: npt.NDArray[np.float64]

    @classmethod
    def join(cls, parts: Sequence["Outputs"]) -> "Outputs":
        """Return several one after the other."""
        return cls(
            **{name: np.concatenate([getattr(part, name) for part in parts]) for name in cls.__dataclass_fields__}
        )

    def gather(self, backend: Backend) -> "Outputs":
        """Return the outputs of all ranks."""
        return Outputs(**{name: backend.all_gather(column) for name, column in vars(self).items()})

    @property
    def metrics(self) -> Metrics:
        """Quality of the logits."""
        return compute_metrics(self.label, self.logit)

    @property
    def predictions(self) -> Predictions:
        """The logits as probabilities of class 1."""
        return Predictions(sample=self.sample, label=self.label, score=sigmoid(self.logit))


class Collector:
    """Takes the outputs of a pass batch by batch, some batches late, and shows how it goes.

    Parameters
    ----------
    backend
        Gives numbers for its outputs.
    title
        Of the pass, for people.
    seen
        Called with the labels and logits of every batch.
    done
        Outputs of the pass from before it was interrupted.

    Raises
    ------
    RunError
        If an output is not finite, which makes the loss NaN; the message names the pass and the batch.
    """

    def __init__(self, backend: Backend, title: str, seen: Seen, done: Outputs | None = None, batches: int = 0) -> None:
        self._learner, self._title, self._seen = backend, title, seen
        self._parts = [] if done is None else [done]
        self._waiting: deque[tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8], Any]] = deque()
        self.batches = batches

    def add(self, sample: npt.NDArray[np.int64], label: npt.NDArray[np.uint8], output: Any) -> None:
        """Take the output of one more batch, which a GPU may still be working on."""
        self._waiting.append((sample, label, output))
        if len(self._waiting) > LAG:
            self._take()

    def _take(self) -> None:
        sample, label, output = self._waiting.popleft()
        self.batches += 1
        logit = self._learner.to_numpy(output).astype(np.float64)
        if not np.isfinite(logit).all():
            raise RunError(f"the loss is NaN or infinite: {self._title}, batch {self.batches}; lower --learning-rate")
        self._parts.append(Outputs(sample=sample, label=label, logit=logit))
        self._seen(label, logit)

    def outputs(self) -> Outputs:
        """Return what all batches of this rank gave so far, waiting for the last ones."""
        while self._waiting:
            self._take()
        self._parts = [Outputs.join(self._parts)]
        return self._parts[0]


def predict(backend: Backend, stream: BatchStream, title: str) -> Outputs:
    """Predict what the streams of all ranks give in an epoch.

    Raises
    ------
    RunError
        If an output is not finite.
    """
    with watch(title, stream) as seen:
        collector = Collector(backend, title, seen)
        for batch, inputs, _ in backend.feed(stream):
            collector.add(batch.sample, batch.label, backend.predict(inputs))
        return collector.outputs().gather(backend)
