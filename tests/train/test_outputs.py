import numpy as np
import pytest

from store.errors import RunError
from train.outputs import LAG, Collector, Outputs


class Numbers:
    """The part of a backend that a collector uses."""

    def __init__(self) -> None:
        self.taken = 0

    def to_numpy(self, logit: np.ndarray) -> np.ndarray:
        self.taken += 1
        return logit


def batch(index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    samples = np.arange(3 * index, 3 * index + 3)
    return samples, np.array([0, 1, 1], np.uint8), np.full(3, index, np.float32)


def collect(count: int, backend: Numbers, earlier: Outputs | None = None) -> Collector:
    collector = Collector(backend, "epoch 1", lambda label, logit: None, earlier)  # type: ignore[arg-type]
    for index in range(count):
        collector.add(*batch(index))
    return collector


def test_outputs_are_taken_some_batches_late_and_in_order() -> None:
    backend = Numbers()
    collector = collect(LAG + 3, backend)
    assert backend.taken == 3
    outputs = collector.outputs()
    assert backend.taken == LAG + 3
    np.testing.assert_array_equal(outputs.sample, np.arange(3 * (LAG + 3)))
    np.testing.assert_array_equal(outputs.logit, np.repeat(np.arange(LAG + 3), 3))
    collector.add(*batch(LAG + 3))
    assert len(collector.outputs().sample) == 3 * (LAG + 4)


def test_a_pass_goes_on_after_what_it_gave_before() -> None:
    earlier = collect(2, Numbers()).outputs()
    outputs = collect(1, Numbers(), earlier).outputs()
    np.testing.assert_array_equal(outputs.sample, [0, 1, 2, 3, 4, 5, 0, 1, 2])


def test_a_batch_that_is_not_finite_is_named() -> None:
    collector = Collector(Numbers(), "epoch 2", lambda label, logit: None, batches=6)  # type: ignore[arg-type]
    sample, label, logit = batch(0)
    collector.add(sample, label, np.where(sample == 1, np.inf, logit))
    with pytest.raises(RunError, match="the loss is NaN or infinite: epoch 2, batch 7; lower --learning-rate"):
        collector.outputs()
