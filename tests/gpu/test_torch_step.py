"""PyTorch on a GPU: feeds, steps, precision, memory, and that the host never waits."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from tests.gpu.cases import DEVICES, RATE, Training
from train.outputs import Collector


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("feed", ["stream", "sparse", "resident"])
def test_every_feed_gives_the_augmented_batches_of_the_plain_stream(showers: Path, feed: str, device: str) -> None:
    training = Training.open(showers, device, feed, augmentation="flip-ieta")
    plain = Training.open(showers, "cpu", augmentation="flip-ieta").stream
    for _ in range(2):
        for steps, batch in zip(training.backend.feed(training.stream), plain, strict=True):
            assert steps.inputs[0].device.type == steps.target.device.type == device
            np.testing.assert_array_equal(steps.sample, batch.sample)
            np.testing.assert_array_equal(steps.inputs[0].cpu().numpy().view(np.int32), batch.image.view(np.int32))
            np.testing.assert_array_equal(steps.target.cpu().numpy(), batch.label)


@pytest.mark.parametrize("device", DEVICES)
def test_repeated_trainings_are_the_same_bit_for_bit(showers: Path, device: str, exact: None) -> None:
    first, second = (Training.open(showers, device).train(7) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("feed", ["stream", "resident"])
def test_replayed_steps_are_those_that_were_not_recorded(showers: Path, feed: str, device: str) -> None:
    # The model without dropout, whose masks may come from other random numbers.
    settings = {"model": "resnet15", "normalisation": "log", "learning_rate": RATE}
    eager, replayed = (
        Training.open(showers, device, feed, cuda_graph=graph, **settings).train(7) for graph in (False, True)
    )
    np.testing.assert_allclose(replayed, eager, atol=2e-3, rtol=1e-2)


@pytest.mark.parametrize(
    ("precision", "device"),
    [
        ("bfloat16", "cpu"),
        *(pytest.param(name, "cuda", marks=pytest.mark.gpu) for name in ("float32", "tf32", "bfloat16", "float16")),
    ],
)
def test_every_precision_learns_a_batch_by_heart(showers: Path, precision: str, device: str) -> None:
    training = Training.open(showers, device, precision=precision)
    steps = next(training.batches())
    label = torch.from_numpy(steps.label).float()
    logits = torch.stack([training.backend.train(steps, [RATE]).float().cpu().clone() for _ in range(40)])
    losses = torch.nn.functional.binary_cross_entropy_with_logits(logits, label.expand_as(logits), reduction="none")
    first, last = losses[:5].mean(), losses[-5:].mean()
    assert last < 0.5 * first


@contextmanager
def no_waiting(device: str) -> Iterator[None]:
    """Make it an error that the host waits for the GPU."""
    if device == "cuda":
        torch.cuda.synchronize()
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        if device == "cuda":
            torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("feed", ["stream", "sparse", "resident"])
@pytest.mark.parametrize("graph", [pytest.param(False, marks=pytest.mark.gpu), True])
def test_the_host_never_waits_within_an_epoch(showers: Path, feed: str, graph: bool, device: str) -> None:
    training = Training.open(showers, device, feed, cuda_graph=graph)
    for _ in range(2):  # kernels are chosen, graphs recorded
        for steps in training.backend.feed(training.stream):
            training.backend.train(steps, [RATE])
    collector = Collector(training.backend, "epoch", lambda *_: None, seconds=0)
    with no_waiting(device):
        for steps in training.backend.feed(training.stream):
            collector.add(steps, training.backend.train(steps, [RATE]))
    assert len(collector.outputs().sample) == training.stream.sample_count


def memory(device: str) -> int:
    """Return the bytes in use."""
    if device == "cuda":
        torch.cuda.synchronize()
        return torch.cuda.memory_allocated() + torch.cuda.memory_reserved()
    return psutil.Process().memory_info().rss


@pytest.mark.parametrize(("device", "epochs"), [("cpu", 2), pytest.param("cuda", 50, marks=pytest.mark.gpu)])
@pytest.mark.parametrize("feed", ["stream", "resident"])
def test_memory_does_not_grow(showers: Path, feed: str, device: str, epochs: int) -> None:
    training = Training.open(showers, device, feed, model="cnn-small", normalisation="log")
    training.train(5)
    before = memory(device)
    training.train(5 * epochs)
    assert memory(device) - before < 32e6
