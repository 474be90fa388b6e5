"""A pass over one split: what the model said about every sample."""

from collections import deque
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from store.errors import RunError
from store.predictions import Predictions
from store.stream import Batch, BatchStream
from train.learner import Learner
from train.metrics import Metrics, measure, sigmoid
from train.progress import watch

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
    done: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8], npt.NDArray[np.float64]]] = []
    pending: deque[tuple[Batch, Any]] = deque()
    with watch(title, stream) as seen:

        def finish() -> None:
            batch, output = pending.popleft()
            logit = learner.to_numpy(output).astype(np.float64)
            done.append((batch.sample, batch.label, logit))
            if not np.isfinite(logit).all():
                raise RunError(f"the loss is NaN or infinite: {title}, batch {len(done)}; lower --learning-rate")
            seen(batch.label, logit)

        for batch, image, label in learner.feed(stream):
            pending.append((batch, learner.train(image, label) if step == "train" else learner.predict(image)))
            if len(pending) > LAG:
                finish()
        while pending:
            finish()
    sample, label, logit = (np.concatenate(column) for column in zip(*done, strict=True))
    return Outputs(sample=sample, label=label, logit=logit)
