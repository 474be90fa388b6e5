from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from store.errors import RunError
from train.backend import Steps
from train.outputs import Collector


class Numbers:
    """The part of a backend that a collector uses."""

    def __init__(self) -> None:
        self.begun = self.taken = 0

    def copy_to_host(self, logits: Sequence[np.ndarray]) -> Callable[[], np.ndarray]:
        self.begun += len(logits)

        def wait() -> np.ndarray:
            self.taken += len(logits)
            return np.concatenate(logits)

        return wait


def add(collector: Collector, index: int, logit: float | None = None, count: int = 1) -> None:
    """Add a call of three samples, whose logits are its index."""
    sample, label = np.arange(3 * index, 3 * index + 3), np.array([0, 1, 1], np.uint8)
    values = np.full(3, index if logit is None else logit, np.float32)
    collector.add(Steps(sample=sample, label=label, count=count, inputs=None, target=None), values)


def collect(calls: int, backend: Numbers, show: Any = lambda *call: None, **options: Any) -> Collector:
    collector = Collector(backend, "epoch 1", show, **options)  # type: ignore[arg-type]
    for index in range(calls):
        add(collector, index)
    return collector


@pytest.mark.parametrize("seconds", [0, 1000])
def test_outputs_are_in_order_however_often_they_are_copied(seconds: float) -> None:
    backend, shown = Numbers(), []
    collector = collect(7, backend, lambda label, logit, batches: shown.append((logit[0], batches)), seconds=seconds)
    assert (backend.begun, backend.taken) == ((7, 6) if seconds == 0 else (0, 0)), "never waits for the newest copy"
    outputs = collector.outputs()
    assert (backend.begun, backend.taken) == (7, 7)
    assert shown == [(index, 1) for index in range(7)]
    np.testing.assert_array_equal(outputs.sample, np.arange(3 * 7))
    np.testing.assert_array_equal(outputs.logit, np.repeat(np.arange(7), 3))
    add(collector, 7)
    assert len(collector.outputs().sample) == 3 * 8


def test_a_pass_goes_on_after_what_it_gave_before() -> None:
    earlier = collect(2, Numbers()).outputs()
    outputs = collect(1, Numbers(), earlier=earlier).outputs()
    np.testing.assert_array_equal(outputs.sample, [0, 1, 2, 3, 4, 5, 0, 1, 2])


@pytest.mark.parametrize(("count", "where"), [(1, "batch 9"), (4, "batches 15 to 18")])
def test_batches_that_are_not_finite_are_named(count: int, where: str) -> None:
    collector = collect(0, Numbers(), batches=6)
    for index, logit in enumerate([0, 0, np.inf, np.nan, 0]):
        add(collector, index, logit, count)
    with pytest.raises(RunError, match=f"the loss is NaN or infinite: epoch 1, {where}; lower --learning-rate"):
        collector.outputs()
