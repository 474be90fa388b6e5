"""A pass over one split: what the model said about every sample."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from store.errors import RunError
from store.predictions import Predictions
from store.stream import BatchStream
from train.learner import Learner
from train.metrics import Metrics, measure, sigmoid
from train.progress import watch

T = TypeVar("T")
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

    @property
    def metrics(self) -> Metrics:
        """Quality of the logits."""
        return measure(self.label, self.logit)

    @property
    def predictions(self) -> Predictions:
        """The logits as probabilities of class 1."""
        return Predictions(sample=self.sample, label=self.label, score=sigmoid(self.logit))


def run_pass(learner: Learner, stream: BatchStream, step: Literal["train", "predict"], title: str) -> Outputs:
    """Train on one epoch of a stream, or predict it.

    Raises
    ------
    RunError
        If an output is not finite, which makes the loss NaN; the message names the pass and the batch.
    """
    samples: list[npt.NDArray[np.int64]] = []
    labels: list[npt.NDArray[np.uint8]] = []
    logits: list[npt.NDArray[np.float64]] = []
    with watch(title, stream) as seen:
        for sample, label, output in delayed(_steps(learner, stream, step), LAG):
            logit = learner.to_numpy(output).astype(np.float64)
            if not np.isfinite(logit).all():
                raise RunError(f"the loss is NaN or infinite: {title}, batch {len(logits) + 1}; lower --learning-rate")
            samples.append(sample)
            labels.append(label)
            logits.append(logit)
            seen(label, logit)
    return Outputs(sample=np.concatenate(samples), label=np.concatenate(labels), logit=np.concatenate(logits))


def _steps(learner: Learner, stream: BatchStream, step: str) -> Iterator[tuple[Any, Any, Any]]:
    # Images are not handed on, so that their memory is free for the stream to fill again.
    for batch, image, label in learner.feed(stream):
        yield batch.sample, batch.label, learner.train(image, label) if step == "train" else learner.predict(image)


def delayed(items: Iterable[T], lag: int) -> Iterator[T]:
    """Yield the items in order, each once `lag` more have been taken."""
    waiting: deque[T] = deque()
    for item in items:
        waiting.append(item)
        if len(waiting) > lag:
            yield waiting.popleft()
    yield from waiting
