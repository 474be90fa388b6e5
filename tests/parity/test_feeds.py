"""The same seed gives both frameworks the same batches."""

import torch

from tests.parity.cases import EPOCHS, digest, open_feed, random_variables, store_of
from tests.parity.conftest import Sides
from train.pytorch.feed import Feed


def test_same_batches_in_the_same_order(sides: Sides) -> None:
    path = store_of(sides.folder)
    stream, variables = open_feed(path), random_variables(path)
    in_torch = [
        digest(
            tensor.numpy()
            for _, inputs, label in Feed(torch.device("cpu"), variables)(stream)
            for tensor in (*inputs, label)
        )
        for _ in range(EPOCHS)
    ]
    assert in_torch == sides.keras["feed"]
    assert len(set(in_torch)) == EPOCHS


def test_arrays_become_tensors_wherever_they_start(sides: Sides) -> None:
    assert all(sides.keras["tensors"])
