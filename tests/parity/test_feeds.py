"""The same seed gives both frameworks the same batches."""

import torch

from tests.parity.cases import EPOCHS, digest, open_feed
from tests.parity.conftest import Sides
from train.feed_torch import feed


def test_same_batches_in_the_same_order(sides: Sides) -> None:
    stream = open_feed(sides.store)
    here = [
        digest(array for _, *tensors in feed(stream, torch.device("cpu")) for array in (t.numpy() for t in tensors))
        for _ in range(EPOCHS)
    ]
    assert here == sides.keras["feed"]
    assert len(set(here)) == EPOCHS


def test_arrays_become_tensors_wherever_they_start(sides: Sides) -> None:
    assert all(sides.keras["tensors"])
