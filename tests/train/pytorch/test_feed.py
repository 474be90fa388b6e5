from pathlib import Path

import numpy as np
import pytest
import torch

import store
from train.pytorch.feed import Feed


def stream(path: Path) -> store.BatchStream:
    return store.BatchStream(path, split="train", batch_size=50, seed=3)


def test_tensors_are_the_memory_of_the_batch(showers: Path) -> None:
    batches = 0
    for batch, (image,), label in Feed(torch.device("cpu"))(stream(showers)):
        assert image.data_ptr() == batch.image.ctypes.data
        assert label.data_ptr() == batch.label.ctypes.data
        batches += 1
    assert batches == 5


@pytest.mark.gpu
def test_gpu_gets_every_batch_in_order(showers: Path) -> None:
    device = torch.device("cuda")
    on_device = list(Feed(device)(stream(showers)))
    for batch, (fed, (image,), label) in zip(stream(showers), on_device, strict=True):
        np.testing.assert_array_equal(fed.sample, batch.sample)
        assert image.device.type == label.device.type == "cuda"
        np.testing.assert_array_equal(image.cpu().numpy(), batch.image)
        np.testing.assert_array_equal(label.cpu().numpy(), batch.label)
