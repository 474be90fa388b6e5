"""The same seed gives both frameworks the same batches."""

import torch

from tests.parity.cases import EPOCHS, digest, made_up_table, open_feed, store_of
from tests.parity.conftest import Sides
from train.pytorch.feed import feed


def test_same_batches_in_the_same_order(sides: Sides) -> None:
    path = store_of(sides.folder)
    stream, table = open_feed(path), made_up_table(path)
    here = [
        digest(
            tensor.numpy()
            for _, inputs, label in feed(stream, torch.device("cpu"), table)
            for tensor in (*inputs, label)
        )
        for _ in range(EPOCHS)
    ]
    assert here == sides.keras["feed"]
    assert len(set(here)) == EPOCHS


def test_arrays_become_tensors_wherever_they_start(sides: Sides) -> None:
    assert all(sides.keras["tensors"])
